"""Registering many at once leaves the record as registering one by one does."""

from __future__ import annotations

from consents import actions, bulk
from consents.management.commands.demo import numbers
from consents.models import Holding, Registration
from consents.terms import HoldingSource
from record import ledger
from record.ledger import OPERATOR
from record.models import Event
from tests.world import ALICE, NOW, START, SUBSCRIBER, World


def register(count: int) -> int:
    return bulk.register_all(numbers(count), source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)


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
    assert bulk.register_all([ALICE], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW) == 1
