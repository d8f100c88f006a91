"""What every test may ask for: an instant, actors, and a small world of firms and rules to begin from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import caches
from django.db import connection
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from record import partitions, rotation
from record.ledger import OPERATOR
from telemarketers import shipped
from telemarketers.actions import rules
from tests import world
from tests.world import World


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Tests happen in 2026 and 2027, so the months of those years can be written to."""
    with django_db_blocker.unblock():
        for table in partitions.partitioned():
            partitions.make_ahead(connection, table, world.START, months=24)


@pytest.fixture(autouse=True)
def _patience(settings: Settings) -> None:
    """The suite runs on busy machines; tests of the deadline set their own."""
    settings.DATABASE_DEADLINE = 20.0


@pytest.fixture(autouse=True)
def _fresh_counts() -> None:
    """What was counted of a limit in one test is not another's."""
    for cache in caches.all(initialized_only=True):
        cache.clear()


@pytest.fixture
def rotate_number_key(settings: Settings, tmp_path: Path) -> Callable[[], None]:
    """A registry with keys of its own; called, it announces the next number key. Numbers stay where they are."""
    settings.KEYS_DIR, settings.OUTER_KEYS_DIR = tmp_path / "keys", tmp_path / "keys" / "outer"

    def rotate() -> None:
        key, _path, _is_new = rotation.next_number_key()
        rotation.announce(key, at=world.START)

    return rotate


@pytest.fixture
def w(db: None) -> World:
    """A registry with the Chinese policy and one approved, licensed firm; see tests/world.py."""
    return world.again()


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """The small world, visible to other connections."""
    with django_db_blocker.unblock():
        try:
            yield world.build()
        finally:
            world.empty_all_rooms()


@pytest.fixture
def all_day(w: World) -> World:
    """A world whose policy lets calls go on around the clock, for tests through doors, which ask what time it is."""
    document = {**shipped.policy("china"), "hours": [["00:00", "24:00"]], "calls_on_public_holidays": True}
    starts = world.START + timedelta(days=31)
    rules.publish_policy(version="all-day", document=document, starts=starts, by=OPERATOR, at=world.START)
    return w
