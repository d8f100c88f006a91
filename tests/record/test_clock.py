"""What time is it, and when is it not to be trusted?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine
from django.db import connection
from django.utils import translation
from pytest_django import DjangoAssertNumQueries

from dncregistry.errors import CannotRule
from record import clock
from record.models import Event
from record.terms import ActorKind, Verb
from tests.world import World

MUCH, LITTLE = timedelta(seconds=4), timedelta(seconds=1)  # of two seconds' tolerance


def event(at: datetime) -> Event:
    return Event.objects.create(
        verb=Verb.FIRM_REGISTERED,
        actor_kind=ActorKind.SYSTEM,
        object_kind="firm",
        object_id="1",
        at=at,
        state={},
    )


def cannot_rule() -> CannotRule:
    with pytest.raises(CannotRule) as refusal:
        clock.now()
    assert (refusal.value.code, refusal.value.status) == ("cannot_rule", 503)
    assert refusal.value.headers() == {"Retry-After": "2"}
    return refusal.value


def test_the_time_is_aware_in_utc_and_now(db: None) -> None:
    before = datetime.now(UTC)
    now = clock.now()
    assert now.tzinfo is UTC
    assert abs(now - before) < clock.TOLERANCE


def test_it_is_one_statement(db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        clock.now()


def test_time_goes_on_within_a_transaction(db: None) -> None:
    """PostgreSQL's now() stands still in one; a test is one."""
    assert clock.now() < clock.now()


# --- the record says it is later -----------------------------------------------------------------------


def test_an_event_of_the_past_is_as_it_should_be(db: None) -> None:
    event(datetime.now(UTC) - timedelta(days=1))
    clock.now()  # it raises nothing


def test_an_event_a_little_ahead_is_let_pass(db: None) -> None:
    event(datetime.now(UTC) + LITTLE)
    clock.now()  # it raises nothing


def test_an_event_of_the_future_says_that_the_clock_went_back(db: None) -> None:
    event(datetime.now(UTC) + MUCH)
    with translation.override("en"):
        assert "behind its own record" in str(cannot_rule().detail)


def test_it_is_the_newest_event_that_counts(db: None) -> None:
    event(datetime.now(UTC) - timedelta(days=2))
    event(datetime.now(UTC) + MUCH)
    cannot_rule()


def test_once_an_event_bears_the_right_time_the_clock_is_trusted_again(db: None) -> None:
    event(datetime.now(UTC) + MUCH)
    cannot_rule()
    event(datetime.now(UTC))
    clock.now()  # it raises nothing


def test_a_check_of_the_future_says_so_too(w: World) -> None:
    w.ask(at=datetime.now(UTC) + LITTLE)
    clock.now()  # it raises nothing
    w.ask(at=datetime.now(UTC) + MUCH)
    with translation.override("en"):
        assert "behind its own record" in str(cannot_rule().detail)


# --- the two clocks differ -----------------------------------------------------------------------------

if connection.vendor == "postgresql":

    @pytest.mark.parametrize("off", [pytest.param(MUCH, id="ahead"), pytest.param(-MUCH, id="behind")])
    def test_clocks_that_differ_are_not_trusted(db: None, off: timedelta) -> None:
        with time_machine.travel(datetime.now(UTC) + off), translation.override("en"):
            assert "clocks" in str(cannot_rule().detail)

    @pytest.mark.parametrize("off", [pytest.param(LITTLE, id="ahead"), pytest.param(-LITTLE, id="behind")])
    def test_clocks_that_hardly_differ_are(db: None, off: timedelta) -> None:
        with time_machine.travel(datetime.now(UTC) + off):
            clock.now()  # it raises nothing

    def test_it_is_the_databases_time_that_is_told(db: None) -> None:
        real = datetime.now(UTC)
        with time_machine.travel(real + LITTLE):
            assert clock.now() - real < LITTLE

else:

    def test_sqlite_has_no_clock_but_this_processs(db: None) -> None:
        then = datetime(2026, 1, 7, 2, 0, tzinfo=UTC)
        with time_machine.travel(then, tick=False):
            assert clock.now() == then


def test_a_clock_set_back_behind_the_record_is_not_trusted(db: None) -> None:
    """On either database: either the two differ, or both are behind what was recorded."""
    event(datetime.now(UTC))
    with time_machine.travel(datetime.now(UTC) - MUCH):
        cannot_rule()


# --- how instants are written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "text"),
    [
        pytest.param(datetime(2026, 1, 7, 2, 0, tzinfo=UTC), "2026-01-07T02:00:00Z", id="whole-seconds"),
        pytest.param(datetime(2026, 1, 7, 2, 0, 0, 5, tzinfo=UTC), "2026-01-07T02:00:00.000005Z", id="microseconds"),
        pytest.param(
            datetime(2026, 1, 7, 10, 0, tzinfo=timezone(timedelta(hours=8))), "2026-01-07T02:00:00Z", id="shanghai"
        ),
    ],
)
def test_instants_are_written_in_utc(at: datetime, text: str) -> None:
    assert clock.iso(at) == text
