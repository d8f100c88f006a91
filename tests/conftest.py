"""What every test may ask for: an instant, actors, and a small world of firms and rules to begin from."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from consents import facts
from record import partitions
from tests import world
from tests.world import World


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Tests happen in 2026 and 2027, so the months of those years can be written to."""
    with django_db_blocker.unblock():
        for table in partitions.partitioned():
            partitions.make_ahead(connection, table, world.START, months=24)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Rolled back databases give ids again, so what was read of a policy in one test is not another's."""
    facts.forget_policies()
    cache.clear()


@pytest.fixture
def w(db: None) -> World:
    """A registry with the Chinese policy and one approved, licensed firm; see tests/world.py."""
    return world.build()
