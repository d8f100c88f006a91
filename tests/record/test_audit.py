"""Whatever an owner of the tables changes by SQL, the audit names; and of an untouched record it says nothing.

Every table and every column is walked: a new model without an example here fails, and so does a field that is neither
told of by events, nor sealed, nor on the stated list of what is exempt.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, models, transaction

from consents import actions, bulk
from consents.management.commands.demo import numbers
from consents.models import (
    AllowDay,
    Authorization,
    CheckRecord,
    CheckSegment,
    CheckSet,
    Holding,
    Registration,
    Subscriber,
)
from consents.terms import HoldingSource
from record import audit, keys, ledger, seals
from record.differences import What
from record.ledger import OPERATOR
from record.models import Event, Number, User
from record.numbers import PhoneNumber
from telemarketers.actions import firms
from telemarketers.models import Firm, Mandate, Policy, Sanction
from tests.record.test_guards import EXAMPLES, again, an_approved_sanction, sql, tried
from tests.world import ALICE, BOB, NOW, START, SUBSCRIBER, World

Model = type[models.Model]
Named = set[tuple[What, str, str, str]]

TABLES: dict[Model, Callable[[World], models.Model]] = {
    **EXAMPLES,
    Firm: lambda w: w.shop,
    Subscriber: lambda w: actions.add_subscriber(by=OPERATOR, at=START),
}


def label(model: Model) -> str:
    return model._meta.label_lower


def name_of(model: Model) -> str:
    return str(model._meta.model_name)


def found() -> Named:
    return {(each.what, each.kind, each.id, each.field) for each in audit.in_rows(connection)}


def told() -> list[str]:
    return [str(each) for each in audit.differences(connection)]


@contextmanager
def guards_off() -> Iterator[None]:
    """As whoever owns the tables can have it, and leave no trace in the catalogue."""
    connection.check_constraints()  # a table with checks outstanding cannot be changed
    if connection.vendor == "postgresql":
        sql("SET LOCAL session_replication_role = replica")
        yield
        sql("SET LOCAL session_replication_role = origin")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
    for name, _made in triggers:
        sql(f"DROP TRIGGER {name}")
    yield
    for _name, made in triggers:
        sql(made)


def stored(field: models.Field[Any, Any], value: Any) -> Any:
    return field.get_db_prep_save(value, connection)


def set_column(row: models.Model, field: models.Field[Any, Any], value: Any) -> None:
    meta = row._meta
    statement = f"UPDATE {meta.db_table} SET {field.column} = %s WHERE {meta.pk.column} = %s"
    sql(statement, stored(field, value), stored(meta.pk, row.pk))


def delete(row: models.Model) -> None:
    sql(f"DELETE FROM {row._meta.db_table} WHERE {row._meta.pk.column} = %s", stored(row._meta.pk, row.pk))


def insert(row: models.Model) -> None:
    """The row with the seal that it carries."""
    fields = row._meta.concrete_fields
    columns, places = ", ".join(str(field.column) for field in fields), ", ".join(["%s"] * len(fields))
    values = [stored(field, getattr(row, field.attname)) for field in fields]
    sql(f"INSERT INTO {row._meta.db_table} ({columns}) VALUES ({places})", *values)


def others(field: models.Field[Any, Any], value: Any) -> list[Any]:
    """Other values that the column could hold, the likeliest to be taken first."""
    if isinstance(field, models.ForeignKey):
        known = field.related_model._base_manager.exclude(pk=value).values_list("pk", flat=True)
        return [*known[:3], *others(field.target_field, value)]
    if isinstance(field, models.DateTimeField):
        return [(value or NOW) - timedelta(seconds=1), (value or NOW) + timedelta(seconds=1)]
    if isinstance(field, models.DateField):
        return [value + timedelta(days=1)]
    if isinstance(field, models.BooleanField):
        return [not value]
    if isinstance(value, UUID):
        return [UUID(int=value.int + 1)]
    if isinstance(field, models.BinaryField):
        return [bytes([value[0] ^ 1]) + bytes(value[1:]) if value else b"\1" * 16]
    if isinstance(field, models.JSONField):
        return [{**value, "other": True} if isinstance(value, dict) else [*value, "other"]]
    if isinstance(field, models.CharField | models.TextField):
        text = value or ""
        last = "2" if text.endswith("1") else "1"
        return [*(code for code, _name in field.choices or () if code != text), text[:-1] + last, "x"]
    return [(value or 0) + 1, (value or 0) - 1, (value or 0) + 1000]


def change(row: models.Model, field: models.Field[Any, Any]) -> Any:
    """Gives the column another value; a valid one if there is one, else with the checks off too."""
    values = others(field, getattr(row, field.attname))
    for value in values:
        try:
            with transaction.atomic():
                set_column(row, field, value)
        except DatabaseError:
            continue
        return value
    without_checks(row._meta.db_table)
    set_column(row, field, values[0])
    return values[0]


def without_checks(table: str) -> None:
    if connection.vendor == "sqlite":
        sql("PRAGMA ignore_check_constraints = ON")
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE contype IN ('c', 'x') AND conrelid = %s::regclass", [table]
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")


@pytest.fixture(autouse=True)
def _checks_on_again(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if connection.vendor == "sqlite" and connection.connection is not None:
        connection.connection.execute("PRAGMA ignore_check_constraints = OFF")


@pytest.fixture
def mandate(w: World) -> Mandate:
    """An object with three events."""
    made = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=START)
    firms.confirm_mandate(mandate=made, by=OPERATOR, at=START)
    firms.end_mandate(mandate=made, by=OPERATOR, at=NOW)
    return made


def events_of(row: models.Model) -> list[Event]:
    return list(Event.objects.filter(object_kind=ledger.kind_of(row), object_id=str(row.pk)).order_by("id"))


# --- nothing escapes -----------------------------------------------------------------------------------


def fields() -> list[Any]:
    return [
        pytest.param(model, field, id=f"{label(model)}.{field.attname}")
        for model in audit.ours()
        for field in model._meta.concrete_fields
    ]


@pytest.mark.parametrize(("model", "field"), fields())
def test_a_field_is_imaged_or_sealed_or_exempt(model: Model, field: models.Field[Any, Any]) -> None:
    ways = {
        "exempt": label(model) in audit.EXEMPT or f"{label(model)}.{field.attname}" in audit.EXEMPT,
        "sealed": audit.is_sealed(model) and (field.name == "seal" or field.attname in seals.sealed(model)),
        "imaged": audit.is_imaged(model),
    }
    assert list(ways.values()).count(True) == 1, ways


@pytest.mark.parametrize("model", [pytest.param(model, id=label(model)) for model in audit.ours()])
def test_a_model_that_is_neither_sealed_nor_exempt_has_events_that_show_every_field(w: World, model: Model) -> None:
    if not audit.is_imaged(model):
        return
    row = TABLES[model](w)
    row.refresh_from_db()
    assert events_of(row)[-1].state == ledger.image(row)
    assert ledger.image(row).keys() == {field.attname for field in model._meta.concrete_fields}


def test_what_is_exempt_is_there() -> None:
    there = {model._meta.app_label for model in apps.get_models()}
    for model in audit.ours():
        there |= {label(model), *(f"{label(model)}.{field.attname}" for field in model._meta.concrete_fields)}
    assert audit.EXEMPT.keys() - there == set()
    assert all(audit.EXEMPT.values()), "each says why"


# --- nothing is said of an untouched record ------------------------------------------------------------


def test_a_new_world_is_as_it_should_be(w: World) -> None:
    assert told() == []


def test_every_kind_of_row_is_as_it_should_be(w: World) -> None:
    for model, make in TABLES.items():
        with tried():
            make(w)
            assert found() == set(), model


def test_many_registrations_at_once_are_as_they_should_be(w: World) -> None:
    bulk.register_all(numbers(300), source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)
    holding = Holding.objects.latest("pk")
    actions.leave(holding=holding, by=SUBSCRIBER, at=NOW)
    assert len(events_of(holding.registrations.get())) == 2
    assert told() == []


@pytest.mark.parametrize(
    "at", [datetime(2026, 1, 7, 2, 0, 0, 500_000, tzinfo=UTC), NOW.replace(microsecond=1)], ids=["half", "micro"]
)
def test_fractions_of_a_second_are_no_difference(w: World, at: datetime) -> None:
    w.authorize(at=at)
    w.ask(at=at, for_time=at + timedelta(minutes=5), client_ref="订单 “7” \\ %")
    assert found() == set()


# --- each column of each table -------------------------------------------------------------------------


def every_table() -> list[Any]:
    kept = [model for model in audit.ours() if label(model) not in audit.EXEMPT]
    return [pytest.param(model, id=label(model)) for model in kept]


@pytest.mark.parametrize("model", every_table())
def test_a_changed_column_is_named(w: World, model: Model) -> None:
    row = TABLES[model](w)
    row.refresh_from_db()
    assert found() == set()
    for field in model._meta.concrete_fields:
        with tried(), guards_off():
            value = change(row, field)
            named = found()
        if f"{label(model)}.{field.attname}" in audit.EXEMPT:
            continue
        if field.primary_key and audit.is_imaged(model):
            expected = {(What.NO_ROW, name_of(model), str(row.pk), ""), (What.NO_EVENT, name_of(model), str(value), "")}
        elif audit.is_imaged(model):
            expected = {(What.ROW_DIFFERS, name_of(model), str(row.pk), field.attname)}
        else:
            expected = {(What.BROKEN_SEAL, name_of(model), str(value if field.primary_key else row.pk), "")}
        assert expected <= named, field.attname


@pytest.mark.parametrize("model", every_table())
def test_a_row_put_in_is_named(w: World, model: Model) -> None:
    row = TABLES[model](w)
    row.refresh_from_db()
    key = model._meta.pk
    twin = copy(row)
    twin.pk = others(key, row.pk)[-1]
    unique = {field.name for field in model._meta.concrete_fields if field.unique and not field.primary_key}
    together = {
        each.fields[-1] for each in model._meta.constraints if isinstance(each, models.UniqueConstraint) and each.fields
    }
    for name in unique | together:
        field = model._meta.get_field(name)
        assert isinstance(field, models.Field)
        setattr(twin, field.attname, others(field, getattr(row, field.attname))[0])
    for name in {"published_at", "starts", "ends"} & {field.name for field in model._meta.concrete_fields}:
        setattr(twin, name, START - timedelta(days=10))  # empty, and so in nobody's way
    with tried(), guards_off():
        insert(twin)
        named = found()
    what = What.NO_EVENT if audit.is_imaged(model) else What.BROKEN_SEAL
    assert what in {each[0] for each in named if each[1] == name_of(model)}


@pytest.mark.parametrize("model", every_table())
def test_a_row_taken_out_is_named(w: World, model: Model) -> None:
    if model in (CheckRecord, AllowDay):
        return  # they age out whole; docs/operations.md says what is then left
    if model is Event:
        return  # below: in the middle, at the beginning, at the end
    row = TABLES[model](w)
    with tried(), guards_off():
        segments = list(CheckSegment.objects.filter(check_set_id=row.pk)) if model is CheckSet else []
        delete(row)
        named = found()
    if model is CheckSegment:
        assert isinstance(row, CheckSegment)
        assert (What.INCOMPLETE, "checkset", str(row.check_set_id), "segments") in named
    elif model is CheckSet:
        assert (What.POINTS_NOWHERE, "checksegment", str(segments[0].pk), "check_set_id") in named
    else:
        assert (What.NO_ROW, name_of(model), str(row.pk), "") in named


def test_a_changed_column_shows_both_values_but_no_digest(w: World) -> None:
    with tried(), guards_off():
        set_column(w.shop, Firm._meta.get_field("name"), "改名 138 0013 8000")
        set_column(w.credential, type(w.credential)._meta.get_field("digest"), b"d" * 32)
        lines = [str(each) for each in audit.in_rows(connection)]
    (renamed,) = [line for line in lines if f"firm {w.shop.pk} name" in line]
    assert f'"{w.shop.name}"' in renamed
    assert "改名" in renamed
    assert "138 0013 8000" not in renamed
    (digest,) = [line for line in lines if "credential" in line]
    assert b"d".hex() * 8 not in digest


# --- what no honest row could hold ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "spelled",
    ["2026-01-07T00:00:00", "2026-01-07 00:00:00.0", "soon", "2026-01-07T00:00:00+00:00"]
    if connection.vendor == "sqlite"
    else ["infinity", "-infinity", "4000-01-01 00:00:00 BC"],
)
def test_an_instant_spelled_otherwise_is_named(w: World, spelled: str) -> None:
    approval = TABLES[type(w.loans.approvals.get())](w)
    with tried(), guards_off():
        without_checks("telemarketers_approval")
        sql(f"UPDATE telemarketers_approval SET starts = '{spelled}', ends = NULL WHERE id = {approval.pk}")
        assert (What.ROW_DIFFERS, "approval", str(approval.pk), "starts") in found()


if connection.vendor == "sqlite":

    @pytest.mark.parametrize("value", ["x'91'", "1.5", "'x'"])
    def test_a_value_of_another_type_is_named(w: World, value: str) -> None:
        with tried(), guards_off():
            sql("UPDATE consents_holding SET number_id = 1")
            registration = TABLES[Registration](w)
            without_checks("consents_registration")
            sql(f"UPDATE consents_registration SET channels = {value}")
            assert (What.ROW_DIFFERS, "registration", str(registration.pk), "channels") in found()

    def test_a_state_that_is_no_json_is_named(w: World) -> None:
        event = Event.objects.latest("id")
        with tried(), guards_off():
            without_checks("record_event")
            sql(f"UPDATE record_event SET state = '{{' WHERE id = {event.pk}")
            assert (What.BROKEN_SEAL, "event", str(event.pk), "") in found()


# --- events ------------------------------------------------------------------------------------------


def test_each_column_of_an_event_in_the_middle_is_sealed(mandate: Mandate) -> None:
    middle = events_of(mandate)[1]
    for field in Event._meta.concrete_fields:
        with tried(), guards_off():
            value = change(middle, field)
            named = found()
        number = value if field.primary_key else middle.pk
        assert (What.BROKEN_SEAL, "event", str(number), "") in named, field.attname


@pytest.mark.parametrize("removed", [0, 1])
def test_an_event_removed_is_named_by_the_next(mandate: Mandate, removed: int) -> None:
    events = events_of(mandate)
    with tried(), guards_off():
        delete(events[removed])
        assert found() == {(What.BROKEN_SEAL, "event", str(events[removed + 1].pk), "")}


def test_the_last_event_removed_is_named_by_the_row(mandate: Mandate) -> None:
    with tried(), guards_off():
        delete(events_of(mandate)[-1])
        assert found() == {(What.ROW_DIFFERS, "mandate", str(mandate.pk), "ends")}


def test_all_events_of_a_row_removed_is_named_by_the_row(mandate: Mandate) -> None:
    with tried(), guards_off():
        for event in events_of(mandate):
            delete(event)
        assert found() == {(What.NO_EVENT, "mandate", str(mandate.pk), "")}


def test_an_event_put_in_is_named_and_so_is_the_one_that_it_repeats(mandate: Mandate) -> None:
    twin = copy(events_of(mandate)[1])
    twin.pk = Event.objects.latest("id").pk + 1
    with tried(), guards_off():
        insert(twin)
        assert (What.BROKEN_SEAL, "event", str(twin.pk), "") in found()


def test_two_events_that_changed_places_are_named(mandate: Mandate) -> None:
    first, second, _third = events_of(mandate)
    with tried(), guards_off():
        delete(first)
        delete(second)
        first.pk, second.pk = second.pk, first.pk
        insert(first)
        insert(second)
        assert {(What.BROKEN_SEAL, "event", str(event.pk), "") for event in (first, second)} <= found()


def test_an_old_event_and_its_row_rewritten_alike_are_named(w: World) -> None:
    (event,) = events_of(w.shop)
    with tried(), guards_off():
        set_column(w.shop, Firm._meta.get_field("name"), "改名")
        set_column(event, Event._meta.get_field("state"), {**event.state, "name": "改名"})
        assert found() == {(What.BROKEN_SEAL, "event", str(event.pk), "")}


def test_an_event_of_no_known_kind_is_named(w: World) -> None:
    event = Event(object_kind="ghost", object_id="1", verb="firm.registered", actor_kind="system", at=NOW, state={})
    event.pk = Event.objects.latest("id").pk + 1
    event.seal = seals.sealer().seal(seals.canonical_of(event))
    with tried():
        insert(event)
        assert found() == {(What.UNKNOWN_KIND, "ghost", "1", "")}


@pytest.mark.parametrize("object_id", ["x", "007", "9" * 30, "-1", ""])
def test_an_event_of_no_row_is_named_whatever_it_calls_it(w: World, object_id: str) -> None:
    event = Event(
        object_kind="firm", object_id=object_id, verb="firm.registered", actor_kind="system", at=NOW, state={}
    )
    event.pk = Event.objects.latest("id").pk + 1
    event.seal = seals.sealer().seal(seals.canonical_of(event))
    with tried():
        insert(event)
        assert found() == {(What.NO_ROW, "firm", object_id, "")}


def test_a_column_younger_than_an_event_is_as_it_was_for_all_rows_then(w: World) -> None:
    """As after a migration that adds a column: the event says nothing of it."""
    given = w.authorize()
    (event,) = events_of(given)
    event.state.pop("cap_days")
    event.seal = seals.sealer().seal(seals.canonical_of(event))
    with tried(), guards_off():
        set_column(event, Event._meta.get_field("state"), event.state)
        set_column(event, Event._meta.get_field("seal"), event.seal)
        assert found() == set()
        set_column(given, Authorization._meta.get_field("cap_days"), 9)
        assert found() == {(What.ROW_DIFFERS, "authorization", str(given.pk), "cap_days")}


# --- numbers -----------------------------------------------------------------------------------------


def test_a_pseudonym_that_no_key_reads_is_named_and_not_shown(w: World) -> None:
    first, second = w.hold(ALICE).number, w.hold(BOB).number
    with tried():
        with guards_off():
            set_column(second, Number._meta.get_field("pseudonym"), b"p" * 16)
        (difference,) = audit.in_rows(connection)
        assert (difference.what, difference.id) == (What.UNREADABLE, str(second.pk))
        assert "7070" not in difference.as_json()
        with guards_off():
            set_column(first, Number._meta.get_field("pseudonym"), b"short")
        assert {each.id for each in audit.in_rows(connection)} == {str(first.pk), str(second.pk)}


def test_a_key_that_is_not_here_is_named_once(w: World) -> None:
    w.hold(ALICE)
    w.hold(BOB)
    with tried():
        sql("UPDATE record_number SET key = 9")
        (difference,) = audit.in_rows(connection)
        assert (difference.what, difference.id, difference.found) == (What.UNKNOWN_KEY, "9", "2")


# --- what tables ask of rows, with the constraint gone -------------------------------------------------


def test_an_interval_that_runs_backwards_is_named(w: World) -> None:
    given = w.authorize()
    with tried(), guards_off():
        without_checks("consents_authorization")
        set_column(given, Authorization._meta.get_field("ends"), START - timedelta(days=1))
        assert (What.BREAKS_RULE, "authorization", str(given.pk), "authorization_runs_forwards") in found()


def test_a_sanction_approved_by_its_proposer_is_named(w: World) -> None:
    """Law 9, with the constraint gone."""
    sanction = an_approved_sanction(w)
    with tried(), guards_off():
        without_checks("telemarketers_sanction")
        set_column(sanction, Sanction._meta.get_field("approved_by"), w.staff.pk)
        assert (What.BREAKS_RULE, "sanction", str(sanction.pk), "sanction_is_decided_by_two_people") in found()


def test_a_column_below_its_least_is_named(w: World) -> None:
    given = w.authorize()
    with tried(), guards_off():
        without_checks("consents_authorization")
        set_column(given, Authorization._meta.get_field("cap_days"), -1)
        assert (What.BREAKS_RULE, "authorization", str(given.pk), "cap_days") in found()


def test_two_in_force_at_once_are_named(w: World) -> None:
    first = w.authorize(w.purpose("loan_finance"), at=START)
    with tried(), guards_off():
        without_checks("consents_authorization")
        second = again(first, starts=NOW)
        assert (What.OVERLAPS, "authorization", str(second.pk), "") in found()


def test_two_that_follow_each_other_do_not_overlap(w: World) -> None:
    w.authorize(at=START)
    w.authorize(at=NOW)
    w.authorize(at=NOW)
    assert Authorization.objects.count() == 3
    assert found() == set()


if connection.vendor == "postgresql":  # SQLite has no way to drop one, short of making the table anew

    def test_two_with_what_only_one_may_have_are_named(w: World) -> None:
        with tried(), guards_off():
            sql("ALTER TABLE telemarketers_firm DROP CONSTRAINT telemarketers_firm_credit_code_key")
            set_column(w.shop, Firm._meta.get_field("credit_code"), w.loans.credit_code)
            assert What.TWICE in {each[0] for each in found()}


@pytest.mark.parametrize("name", ["authorization", "firm", "matter", "policy", "credential"])
def test_a_check_that_names_what_is_not_there_is_named(w: World, name: str) -> None:
    row = EXAMPLES[CheckRecord](w)
    (field,) = (each for each in CheckRecord._meta.concrete_fields if each.name == name)
    with tried(), guards_off():
        set_column(row, field, 987_654)
        assert (What.POINTS_NOWHERE, "checkrecord", str(row.pk), field.attname) in found()


# --- seals -------------------------------------------------------------------------------------------


def test_a_seal_says_which_key_made_it_and_an_older_one_is_believed(
    w: World, settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = keys.sealing_keys()
    (number,) = old
    monkeypatch.setattr(keys, "sealing_keys", lambda: {**old, number + 1: b"n" * 32})
    firms.add_calling_number(firm=w.loans, number=PhoneNumber("+861065520000"), display_name="", by=OPERATOR, at=NOW)
    assert bytes(Event.objects.latest("id").seal)[0] == number + 1
    assert found() == set()
    monkeypatch.setattr(keys, "sealing_keys", lambda: old)
    assert {each[0] for each in found()} == {What.BROKEN_SEAL}


def test_another_key_makes_another_seal(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "sealing_keys", lambda: {1: b"o" * 32})
    assert {each[0] for each in found()} == {What.BROKEN_SEAL}
    assert len(found()) == Event.objects.count()


# --- the command -------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("audit_record", *arguments, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_command_says_how_much_it_looked_at_and_ends_well(w: World) -> None:
    status, out = run()
    assert status == 0
    assert str(Event.objects.count()) in out


def test_the_command_names_each_difference_and_ends_with_1(w: World) -> None:
    with tried():
        set_column(w.shop, Firm._meta.get_field("name"), "改名")
        status, out = run()
    assert status == 1
    assert f"row_differs firm {w.shop.pk} name" in out


def test_the_command_writes_json_for_machines(w: World) -> None:
    with tried():
        set_column(w.shop, Firm._meta.get_field("name"), "改名")
        status, out = run("--json")
    (line,) = out.splitlines()
    said = json.loads(line)
    assert status == 1
    assert (said["what"], said["kind"], said["id"], said["field"]) == ("row_differs", "firm", str(w.shop.pk), "name")
    assert (said["recorded"], said["found"]) == (f'"{w.shop.name}"', '"改名"')


def test_a_table_that_cannot_be_read_is_no_clean_record(w: World) -> None:
    with tried():
        sql("ALTER TABLE consents_preference RENAME TO away")
        with pytest.raises(CommandError) as error:
            run()
        assert error.value.returncode == 2


# --- beside writers ------------------------------------------------------------------------------------


def busy(w: World, stop: threading.Event, failures: list[BaseException]) -> None:
    try:
        while not stop.is_set():
            w.authorize(at=datetime.now(UTC))
            actions.revoke(authorizations=Authorization.objects.all(), by=SUBSCRIBER, at=datetime.now(UTC))
            w.ask(at=NOW)
            w.ask_shop(at=NOW)
    except (DatabaseError, AssertionError) as error:
        failures.append(error)
    finally:
        connection.close()


@pytest.mark.slow
def test_what_is_committed_meanwhile_is_no_difference(committed: World) -> None:
    committed.hold()
    stop, failures = threading.Event(), list[BaseException]()
    writers = [threading.Thread(target=busy, args=(committed, stop, failures)) for _writer in range(2)]
    for writer in writers:
        writer.start()
    before = Event.objects.count()
    try:
        for _time in range(15):
            assert found() == set()
    finally:
        stop.set()
        for writer in writers:
            writer.join(timeout=20)
    assert failures == []
    assert Event.objects.count() > before + 10
    assert found() == set()


# --- rows older than the seals ---------------------------------------------------------------------------


@pytest.mark.slow
def test_what_was_there_before_seals_is_sealed_by_the_migration_and_back(committed: World) -> None:
    w = committed
    for number in (ALICE, BOB):
        w.authorize(number=number)
        w.ask(number.e164, matter=w.offer.code)
    EXAMPLES[CheckSet](w)
    actions.revoke(authorizations=Authorization.objects.all(), by=SUBSCRIBER, at=NOW)
    try:
        call_command("migrate", "consents", "0001", verbosity=0)
        call_command("migrate", "record", "0001", verbosity=0)
        with connection.cursor() as cursor:
            columns = {each.name for each in connection.introspection.get_table_description(cursor, "record_event")}
        assert "seal" not in columns
    finally:
        call_command("migrate", verbosity=0)
    assert told() == []
    assert User.objects.count() == 2
    assert Policy.objects.count() == 1
