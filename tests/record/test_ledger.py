"""Does every change leave its trace, and is the latest event of each object its row (law 4)?

The tests of the verbs, in other rooms, ask here: `Case`, `untraced`, `refused`, `written_by`,
`no_event_can_be_written`, `verbs_of`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, models, transaction
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from consents.models import AllowDay, CheckSegment, Holding, Recorded, RegistrationImport
from dncregistry.errors import Refused
from record import ledger
from record.ledger import OPERATOR, Actor
from record.models import BeatLease, Event, KeyInUse, Notice, Number, User
from record.terms import ActorKind, Verb
from telemarketers.models import Credential, Firm, IdempotencyKey
from tests.world import NOW, START, World

ROOMS = ("record", "telemarketers", "consents")

Act = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """How one verb is done: `ready` prepares a world and gives the act; `writes` is what it must trace."""

    ready: Callable[[World], Act]
    writes: tuple[Verb, ...]


def all_models() -> list[type[models.Model]]:
    return [model for room in ROOMS for model in apps.get_app_config(room).get_models()]


def traced_models() -> list[type[models.Model]]:
    """Those whose rows verbs alone make.

    A check is its own record; a number or its key says nothing by itself; and how far an import has come, what is owed,
    or who ticks, is nobody's right.
    """
    sealed = (Recorded, CheckSegment, AllowDay, Event)
    operational = (BeatLease, IdempotencyKey, KeyInUse, Notice, RegistrationImport)
    not_traced = (*sealed, *operational, Number, User)
    return [model for model in all_models() if not issubclass(model, not_traced)]


def untraced() -> list[str]:
    """Rows that their latest event does not show as they are. There must be none."""
    latest = {(event.object_kind, event.object_id): event.state for event in Event.objects.order_by("id")}
    return [
        f"{model._meta.model_name} {row.pk}"
        for model in traced_models()
        for row in model._default_manager.all()
        if latest.get((model._meta.model_name or "", str(row.pk))) != ledger.image(row)
    ]


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all rooms."""
    return {model._meta.db_table: list(model._default_manager.order_by("pk").values_list()) for model in all_models()}


@contextmanager
def refused(code: str, *, field: str | None = None) -> Iterator[None]:
    """What is done inside is refused with that code, and leaves neither row nor event."""
    before = everything()
    with pytest.raises(Refused) as refusal:
        yield
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert everything() == before


def written_by(act: Act) -> list[Event]:
    """The events that the act writes, in order."""
    last = Event.objects.order_by("id").last()
    act()
    return list(Event.objects.filter(pk__gt=last.pk if last else 0).order_by("id"))


def no_event_can_be_written() -> None:
    """From here to the end of the test the event table takes no row, as if its disk were full."""
    if connection.vendor == "sqlite":
        statements = [
            "CREATE TRIGGER full_disk BEFORE INSERT ON record_event BEGIN SELECT RAISE(ABORT, 'full_disk'); END"
        ]
    else:
        connection.check_constraints()  # a table with checks outstanding cannot be changed
        statements = [
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'full_disk' USING ERRCODE = 'restrict_violation'; END $$",
            "CREATE TRIGGER full_disk BEFORE INSERT ON record_event FOR EACH ROW EXECUTE FUNCTION full_disk()",
        ]
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def changes_nothing_without_its_event(act: Act) -> None:
    """A change whose event cannot be written is no change (law 4)."""
    no_event_can_be_written()
    before = everything()
    with pytest.raises(DatabaseError, match="full_disk"), transaction.atomic():
        act()
    assert everything() == before


def verbs_of(module: Any) -> set[str]:
    """The functions of a module of actions that change something: the door gives them `by` and `at`."""
    return {
        name
        for name, verb in vars(module).items()
        if not name.startswith("_")
        and getattr(verb, "__module__", "") == module.__name__
        and {"by", "at"} <= set(getattr(verb, "__annotations__", ()))
    }


# --- the image ---------------------------------------------------------------------------------------


def test_an_image_is_every_column_as_json_would_have_it(w: World) -> None:
    credential = Credential.objects.get(pk=w.credential.pk)
    assert ledger.image(credential) == {
        "id": credential.pk,
        "firm_id": w.loans.pk,
        "mode": "live",
        "scopes": ["account", "authorizations", "batch", "check"],
        "label": "",
        "digest": bytes(credential.digest).hex(),
        "hint": w.key[-4:],
        "starts": START.isoformat(),
        "ends": None,
    }


def test_an_image_of_a_new_row_is_that_of_the_stored_one(w: World) -> None:
    assert ledger.image(w.credential) == ledger.image(Credential.objects.get(pk=w.credential.pk))


def test_instants_are_imaged_in_utc() -> None:
    shanghai = timezone(timedelta(hours=8))
    image = ledger.image(Holding(starts=datetime(2026, 1, 7, 8, 0, tzinfo=shanghai)))
    assert image["starts"] == "2026-01-07T00:00:00+00:00"


def test_days_are_imaged_as_iso_dates() -> None:
    assert ledger.image(AllowDay(day=date(2026, 1, 7)))["day"] == "2026-01-07"


# --- the event ---------------------------------------------------------------------------------------


def test_an_event_names_verb_actor_object_time_and_state(w: World) -> None:
    by = Actor.staff(w.staff)
    (event,) = written_by(lambda: ledger.record(Verb.FIRM_REGISTERED, of=w.loans, by=by, at=NOW))
    assert (event.verb, event.object_kind, event.object_id) == ("firm.registered", "firm", str(w.loans.pk))
    assert (event.actor_kind, event.actor_id, event.at) == (ActorKind.STAFF, w.staff.pk, NOW)
    assert event.state == ledger.image(w.loans)


def test_many_events_are_three_statements(w: World, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """Their ids, the last seals of their objects, and the events."""
    rows = list(Firm.objects.all())
    with django_assert_num_queries(3):
        ledger.record_all(Verb.FIRM_REGISTERED, of=rows, by=OPERATOR, at=NOW)


@given(
    common=st.dictionaries(
        st.text(max_size=8).filter(lambda key: key not in ("id", "of_id")),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        max_size=5,
    ),
    values=st.lists(st.integers() | st.text() | st.none() | st.booleans(), max_size=5) | st.lists(st.integers()),
)
def test_states_alike_are_written_as_each_would_be(common: dict[str, Any], values: list[Any]) -> None:
    common = {"id": None, "before": "100%s", **common, "of_id": None}
    ids = [7 + at for at in range(len(values))]
    assert list(ledger._states_alike(common, "of_id", values, ids)) == [
        json.dumps({**common, "id": pk, "of_id": value}) for pk, value in zip(ids, values, strict=True)
    ]


def test_no_rows_are_no_events(w: World) -> None:
    assert written_by(lambda: ledger.record_all(Verb.FIRM_REGISTERED, of=[], by=OPERATOR, at=NOW)) == []


def test_every_row_of_a_new_world_is_traced(w: World) -> None:
    assert untraced() == []


def test_a_row_changed_behind_the_verbs_back_is_untraced(w: World) -> None:
    Firm.objects.filter(pk=w.shop.pk).update(name="改名")
    assert untraced() == [f"firm {w.shop.pk}"]


def test_a_row_without_an_event_is_untraced(w: World) -> None:
    firm = Firm.objects.create(credit_code="X" * 18, name="无痕")
    assert untraced() == [f"firm {firm.pk}"]


def test_an_event_goes_with_its_transaction(w: World) -> None:
    before = everything()
    with transaction.atomic():
        ledger.record(Verb.FIRM_REGISTERED, of=w.loans, by=OPERATOR, at=datetime(2026, 1, 7, 3, tzinfo=UTC))
        transaction.set_rollback(True)
    assert everything() == before
