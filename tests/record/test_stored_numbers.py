"""Keys that do not fit the numbers stored would find no registration and allow every call: the registry says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from pytest_django import Settings

from consents import actions
from dncregistry.errors import CannotRule
from record import rotation, stored_numbers
from record.models import KeyInUse, Number
from record.pseudonyms import NumberKey, Pseudonymizer
from record.stored_numbers import are_readable
from tests.world import ALICE, NOW, START, SUBSCRIBER, World


@pytest.fixture
def other_keys(w: World) -> None:
    """A number stored under a key of the same id, but another key: a database beside the wrong folder."""
    stranger = Pseudonymizer(NumberKey(1, b"other keys than ours are 32 bytes"[:32]))
    Number.objects.create(pseudonym=stranger.pseudonym(ALICE), key=1)


def test_what_was_stored_can_be_read(w: World) -> None:
    w.hold()
    assert are_readable()


@pytest.mark.usefixtures("other_keys")
def test_other_keys_are_noticed() -> None:
    assert not are_readable()


def test_a_key_that_is_gone_is_noticed(w: World) -> None:
    KeyInUse.objects.create(pk=9, starts=START)
    assert not are_readable()


def test_a_key_that_is_another_is_noticed_before_anything_stands_under_it(w: World) -> None:
    KeyInUse.objects.create(pk=2, starts=NOW, proof=bytes(16))
    assert not are_readable()


@pytest.mark.usefixtures("other_keys")
def test_the_registry_is_not_ready_with_other_keys(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"]["keys"] == "do not fit the numbers in the database"


@pytest.mark.usefixtures("other_keys")
def test_the_registry_does_not_start_with_other_keys() -> None:
    """`manage.py serve` runs these checks first."""
    with pytest.raises(SystemCheckError, match="backup that belongs to this database"):
        call_command("check", databases=["default"])


def test_another_key_in_the_place_of_the_first_is_told_from_it(
    w: World, rotate_number_key: Callable[[], None], settings: Settings
) -> None:
    """A process at work reads the files anew when a name in their folder changes; here the next key's."""
    actions.register(holding=w.hold(ALICE), by=SUBSCRIBER, at=START)
    stored_numbers.keep_proofs()
    assert w.ask_shop() == "block registered"

    (settings.KEYS_DIR / "number" / "1.key").write_text("ee" * 32)
    rotation.next_number_key()

    with pytest.raises(CannotRule):
        w.ask_shop()
