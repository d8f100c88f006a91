"""Registering many at once leaves the record as registering one by one does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from consents import actions, bulk
from consents.management.commands.demo import numbers
from consents.models import Holding, Registration
from consents.terms import HoldingSource
from record import ledger
from record.ledger import OPERATOR
from record.models import Event
from telemarketers.terms import ALL_CHANNELS, Channel
from tests.world import ALICE, NOW, START, SUBSCRIBER, World


def register(count: int) -> int:
    return bulk.register_all(numbers(count), source=HoldingSource.IMPORT, by=OPERATOR, at=NOW).added


def test_each_row_has_its_event_with_the_row_as_it_stands(w: World) -> None:
    assert register(50) == 50
    rows = [*Holding.objects.all(), *Registration.objects.all()]
    assert len(rows) == 100
    for row in rows:
        event = Event.objects.get(object_kind=ledger.kind_of(row), object_id=str(row.pk))
        assert event.state == ledger.image(row)
        assert (event.at, event.actor_kind) == (NOW, "operator")


def test_again_changes_nothing(w: World) -> None:
    register(20)
    events = Event.objects.count()
    assert register(20) == 0
    assert register(30) == 10
    assert Event.objects.count() == events + 20


def test_none_is_none(w: World) -> None:
    assert register(0) == 0


def test_the_orm_goes_on_with_the_next_id(w: World) -> None:
    register(3)
    last = Registration.objects.latest("pk").pk
    (registration,) = actions.register(holding=w.hold(), by=SUBSCRIBER, at=NOW)
    assert registration.pk == last + 1


def test_a_holding_that_is_there_is_used_and_its_authorizations_stay(w: World) -> None:
    authorization = w.authorize(at=START)
    bulk.register_all([ALICE, ALICE], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)
    assert Holding.objects.count() == 1
    assert Registration.objects.get().holding_id == authorization.holding_id
    assert w.ruling(matter="spring-loan") == "allow authorized"
    assert w.ask_shop() == "block registered"


def test_a_registration_for_some_purposes_is_not_taken_for_all(w: World) -> None:
    actions.register(holding=w.hold(), purposes=[w.purpose("retail")], by=SUBSCRIBER, at=START)
    assert bulk.register_all([ALICE], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW).added == 1


# --- whoever left the list stays off it --------------------------------------------------------------

LATER = START + timedelta(minutes=1)
LATEST = START + timedelta(minutes=2)


def again() -> bulk.Registered:
    return bulk.register_all([ALICE], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)


def test_who_left_is_not_put_back_and_named(w: World) -> None:
    holding = w.hold()
    actions.register(holding=holding, by=SUBSCRIBER, at=START)
    actions.leave(holding=holding, by=SUBSCRIBER, at=START)  # in the very same instant
    events = Event.objects.count()
    assert again() == (0, {ALICE})
    assert Event.objects.count() == events


def test_who_left_for_some_purposes_is_not_registered_for_all(w: World) -> None:
    holding = w.hold()
    actions.register(holding=holding, by=SUBSCRIBER, at=START)
    actions.leave(holding=holding, by=SUBSCRIBER, at=LATER)
    actions.register(holding=holding, purposes=[w.purpose("retail")], by=SUBSCRIBER, at=LATEST)
    assert again() == (0, {ALICE})
    assert w.ask_shop() == "block registered"


def test_who_came_back_is_registered(w: World) -> None:
    holding = w.hold()
    actions.register(holding=holding, by=SUBSCRIBER, at=START)
    actions.leave(holding=holding, by=SUBSCRIBER, at=LATER)
    actions.register(holding=holding, channels=Channel.SMS, by=SUBSCRIBER, at=LATEST)
    assert again() == (1, set())
    assert Registration.objects.get(ends=None).channels == int(ALL_CHANNELS)


def test_who_never_left_but_widened_is_registered(w: World) -> None:
    retail = [w.purpose("retail")]
    holding = w.hold()
    actions.register(holding=holding, purposes=retail, channels=Channel.SMS, by=SUBSCRIBER, at=START)
    actions.register(holding=holding, purposes=retail, by=SUBSCRIBER, at=LATER)
    assert again() == (1, set())


@pytest.mark.parametrize("keep", [True, False])
def test_a_new_holder_who_declined_the_former_ones_registration_has_left_it(w: World, keep: bool) -> None:
    actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)
    new = actions.add_subscriber(by=SUBSCRIBER, at=LATER)
    actions.hand_over(number=ALICE, subscriber=new, keep_registration=keep, by=SUBSCRIBER, at=LATER)
    assert again() == (0, set() if keep else {ALICE})


def test_what_a_former_holder_had_left_binds_no_new_one(w: World) -> None:
    holding = w.hold()
    actions.register(holding=holding, by=SUBSCRIBER, at=START)
    actions.leave(holding=holding, by=SUBSCRIBER, at=LATER)
    new = actions.add_subscriber(by=SUBSCRIBER, at=LATEST)
    actions.hand_over(number=ALICE, subscriber=new, keep_registration=True, by=SUBSCRIBER, at=LATEST)
    assert again() == (1, set())


def test_an_ended_holding_is_not_reopened(w: World) -> None:
    former = w.hold()
    Holding.objects.filter(pk=former.pk).update(ends=LATER)
    assert again() == (1, set())
    former.refresh_from_db()
    assert former.ends == LATER
    opened = Holding.objects.get(ends=None)
    assert (opened.subscriber, opened.source) == (None, HoldingSource.IMPORT)


def test_a_registration_is_not_dated_before_what_was_said_meanwhile(w: World) -> None:
    """Whoever had to wait for a citizen's verb holds an older stamp than it."""
    granted = w.authorize(at=NOW + timedelta(seconds=1))
    again()
    assert Registration.objects.get().starts == granted.starts


def test_few_statements_whatever_the_count(w: World, django_assert_max_num_queries) -> None:
    register(10)
    for number in numbers(10):
        actions.leave(holding=w.hold(number), by=SUBSCRIBER, at=NOW)
    with django_assert_max_num_queries(9):
        assert register(10) == 0
    with django_assert_max_num_queries(18):
        assert register(300) == 290


def test_an_authorization_of_the_last_moment_survives(w: World) -> None:
    """It began after the import asked for the time, and before it had the holding."""
    holding = w.hold()
    actions.register(holding=holding, channels=Channel.SMS, by=SUBSCRIBER, at=START)
    given = w.authorize(at=NOW + timedelta(seconds=1))

    bulk.register_all([ALICE], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)

    given.refresh_from_db()
    assert given.ended == ""
