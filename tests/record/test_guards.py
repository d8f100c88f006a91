"""Each guard is broken by SQL or in bulk, on whichever database the suite runs on; and none can go missing.

The models are walked: a model with a guard and no row in `EXAMPLES` to break it by fails. The constraints
that models name themselves are broken in each room's test_constraints.py, which asks here: `constraints_of`,
`again`, `rows_of`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.core.checks import Warning as CheckWarning
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations.loader import MigrationLoader

from consents import actions, check
from consents.models import (
    AllowDay,
    Authorization,
    CheckRecord,
    CheckSegment,
    CheckSet,
    Holding,
    LodgedRefusal,
    Preference,
    Refusal,
    Registration,
)
from record import checks, guards
from record.guards import AppendOnly, ClosesOnly, NeverChanged, NoOverlap, RekeyedUpwards
from record.ids import uuid7
from record.ledger import OPERATOR, Actor
from record.models import Event, KeyInUse, Number
from record.numbers import parse_caller
from record.terms import ActorKind
from telemarketers.actions import firms, rules
from telemarketers.models import (
    Approval,
    CallingNumber,
    Credential,
    IdempotencyKey,
    Licence,
    Mandate,
    Matter,
    Policy,
    Purpose,
    Sanction,
    Wording,
)
from telemarketers.terms import ALL_CHANNELS, Channel, Step
from tests.record.test_ledger import all_models
from tests.world import ALICE, BOB, LOANS_LINE, NOW, START, SUBSCRIBER, World

Model = type[models.Model]

# --- a row of each guarded table, with what may be filled once filled ----------------------------------


def a_claimed_holding(w: World) -> models.Model:
    subscriber = actions.add_subscriber(by=OPERATOR, at=START)
    return actions.claim(number=ALICE, subscriber=subscriber, by=SUBSCRIBER, at=START)


def a_revoked_authorization(w: World) -> models.Model:
    given = w.authorize()
    actions.revoke(authorizations=Authorization.objects.filter(pk=given.pk), by=SUBSCRIBER, at=NOW)
    return given


def a_preference(w: World) -> models.Model:
    return actions.set_preference(
        holding=w.hold(), weekday=(540, 600), rest_day=None, no_requests=True, by=SUBSCRIBER, at=START
    )


def a_confirmed_mandate(w: World) -> models.Model:
    mandate = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=START)
    firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=START)
    return mandate


def an_approved_sanction(w: World) -> models.Model:
    sanction = rules.propose_sanction(
        firm=w.loans, step=Step.SUSPENSION, reason="投诉", rule="第十条", remedy="整改", by=w.staff, at=START
    )
    rules.approve_sanction(sanction=sanction, by=w.other_staff, at=START)
    return sanction


def a_lodged_refusal(w: World) -> models.Model:
    return actions.lodge_refusal(
        number=ALICE, firm=w.loans, against=w.loans, said_at=START, by=Actor(ActorKind.FIRM, w.loans.pk), at=NOW
    )


def an_idempotency_key(w: World) -> models.Model:
    return IdempotencyKey.objects.create(
        firm=w.loans,
        route="/",
        name=b"n" * 32,
        body=b"b" * 32,
        number_key=1,
        status=201,
        result_kind="matter",
        result_id="1",
        at=NOW,
    )


def a_check(w: World) -> models.Model:
    w.authorize()
    w.ask(matter=w.offer.code)
    return CheckRecord.objects.get()


def an_allow_day(w: World) -> models.Model:
    a_check(w)
    return AllowDay.objects.get()


def a_check_set(w: World) -> models.Model:
    asked = check.Asked(parse_caller(LOANS_LINE), "loan_finance", "", Channel.VOICE)
    callees = [check.read_callee(number.e164) for number in (ALICE, BOB)]
    check.check_batch(asked, callees, credential=w.credential, at=NOW)
    return CheckSet.objects.get()


def a_segment(w: World) -> models.Model:
    a_check_set(w)
    return CheckSegment.objects.get()


EXAMPLES: dict[Model, Callable[[World], models.Model]] = {
    Event: lambda w: Event.objects.latest("id"),
    Purpose: lambda w: w.purpose("retail"),
    Policy: lambda w: Policy.objects.get(),
    Wording: lambda w: w.offer.wordings.get(),
    Approval: lambda w: w.loans.approvals.get(),
    Credential: lambda w: w.credential,
    CallingNumber: lambda w: w.loans.calling_numbers.get(),
    Licence: lambda w: w.shop.licences.get(),
    Matter: lambda w: w.offer,
    Mandate: a_confirmed_mandate,
    Sanction: an_approved_sanction,
    Holding: a_claimed_holding,
    Registration: lambda w: actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)[0],
    Authorization: a_revoked_authorization,
    Refusal: lambda w: actions.refuse_firm(holding=w.hold(), firm=w.loans, by=SUBSCRIBER, at=START),
    LodgedRefusal: a_lodged_refusal,
    Preference: a_preference,
    IdempotencyKey: an_idempotency_key,
    CheckRecord: a_check,
    AllowDay: an_allow_day,
    CheckSet: a_check_set,
    CheckSegment: a_segment,
    Number: lambda w: w.hold().number,
    KeyInUse: lambda w: KeyInUse.objects.create(pk=2, starts=START, proof=bytes(16)),
}

GUARDED = list(guards.guarded())


def of_kind(kind: type[Any]) -> list[Any]:
    return [
        pytest.param(model, guard, id=str(model._meta.model_name))
        for model, guard in GUARDED
        if isinstance(guard, kind)
    ]


def name_of(model: Model) -> str:
    return str(model._meta.model_name)


def test_every_guarded_model_has_an_example_to_break() -> None:
    assert {model for model, _guard in GUARDED} == set(EXAMPLES)


def test_every_kind_of_guard_is_broken_here() -> None:
    assert {type(guard) for _model, guard in GUARDED} == {
        AppendOnly,
        ClosesOnly,
        NeverChanged,
        NoOverlap,
        RekeyedUpwards,
    }


def test_every_dated_table_is_guarded() -> None:
    """A model with an end that may be moved back, or rows that may be deleted, would lose the past."""
    dated = {model for model in all_models() if any(field.name == "ends" for field in model._meta.fields)}
    assert dated == {model for model, guard in GUARDED if isinstance(guard, ClosesOnly)}


# --- breaking one ------------------------------------------------------------------------------------


@contextmanager
def broken(guard: str) -> Iterator[None]:
    """What is done inside breaks that guard, and is undone."""
    with pytest.raises(IntegrityError, match=rf"\b{guard}\b"), transaction.atomic():
        yield


@contextmanager
def tried() -> Iterator[None]:
    """What is done inside is possible, and undone: rows may point at nothing."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def rows_of(row: models.Model) -> models.QuerySet[Any]:
    """The row, for changes in bulk."""
    return type(row)._base_manager.filter(pk=row.pk)


def another(field: models.Field[Any, Any], row: models.Model) -> Any:
    """Some other value that the column could hold."""
    value = getattr(row, field.attname)
    if isinstance(field, models.DateTimeField):
        return (value or START) + timedelta(seconds=1)
    if isinstance(field, models.DateField):
        return value + timedelta(days=1)
    if isinstance(field, models.BooleanField):
        return not value
    if isinstance(value, UUID):
        return UUID(int=value.int + 1)
    if isinstance(field, models.BinaryField):
        return bytes(value or b"") + b"\0"
    if isinstance(field, models.JSONField):
        return {"other": True}
    if isinstance(value, str):
        return "x"
    return (value or 0) + 1000


def sql(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def columns(model: Model, *left_out: str) -> list[models.Field[Any, Any]]:
    return [field for field in model._meta.concrete_fields if field.attname not in left_out]


Breaks = dict[str, Callable[[World], Any]]

A_MOMENT = timedelta(microseconds=1)


def runs_backwards(model: Model) -> Breaks:
    breaks: Breaks = {"closed": lambda w: rows_of(EXAMPLES[model](w)).update(ends=START - A_MOMENT)}
    if not any(isinstance(guard, NoOverlap) and guard.born_open for guard in model.guards):  # type: ignore[attr-defined]
        breaks["inserted"] = lambda w: again(EXAMPLES[model](w), starts=NOW, ends=NOW - A_MOMENT)
    return breaks


def constraints_of(room: str) -> dict[str, str]:
    """Every named constraint and unique column of a room, with the words the database refuses in."""
    found = {}
    for model in apps.get_app_config(room).get_models():
        table = model._meta.db_table
        on_sqlite = connection.vendor == "sqlite"
        for constraint in model._meta.constraints:
            if on_sqlite and isinstance(constraint, models.UniqueConstraint):
                named = {field.name: field.column for field in columns(model)}
                found[constraint.name] = ", ".join(f"{table}.{named[name]}" for name in constraint.fields)
            else:
                found[constraint.name] = constraint.name
        for field in columns(model):
            if field.unique and not field.primary_key:
                found[f"{table}.{field.column}"] = f"{table}{'.' if on_sqlite else '_'}{field.column}"
    return found


def refused_by_database(says: str) -> Any:
    """An integrity error in those words."""
    return pytest.raises(IntegrityError, match=re.escape(says))


# --- append-only -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "guard"), of_kind(AppendOnly))
def test_what_is_written_once_is_never_changed(w: World, model: Model, guard: AppendOnly) -> None:
    row = EXAMPLES[model](w)
    for field in columns(model):
        with broken(f"{model._meta.db_table}_append_only_update"):
            rows_of(row).update(**{field.attname: another(field, row)})


@pytest.mark.parametrize(("model", "guard"), of_kind(NeverChanged))
def test_what_is_never_changed_may_go(w: World, model: Model, guard: NeverChanged) -> None:
    row = EXAMPLES[model](w)
    for field in columns(model):
        with broken(f"{model._meta.db_table}_never_changed_update"):
            rows_of(row).update(**{field.attname: another(field, row)})
    with tried():
        delete(row)
        assert not rows_of(row).exists()


@pytest.mark.parametrize(("model", "guard"), of_kind(AppendOnly))
def test_what_is_written_once_is_deleted_only_when_its_term_is_over(w: World, model: Model, guard: AppendOnly) -> None:
    row = EXAMPLES[model](w)  # of January 2026; the database goes by its own clock
    if guard.kept_days is None:
        with broken(f"{model._meta.db_table}_append_only_delete"):
            delete(row)
        return
    assert datetime.now(UTC) - START > timedelta(days=guard.kept_days)
    with broken(f"{model._meta.db_table}_append_only_delete"):
        delete(as_of_today(row))
    with tried():
        delete(row)
        assert not rows_of(row).exists()


def delete(row: models.Model) -> None:
    key = row.pk.hex if isinstance(row.pk, UUID) and connection.vendor == "sqlite" else row.pk
    sql(f"DELETE FROM {row._meta.db_table} WHERE {row._meta.pk.column} = %s", key)


def as_of_today(row: models.Model) -> Any:
    """The same row, but made now."""
    twin, now = copy(row), datetime.now(UTC)
    if isinstance(twin, CheckSegment):
        twin.check_set = as_of_today(CheckSet.objects.get(pk=twin.check_set_id))
    for instant in ("checked_at", "noted_at"):
        if hasattr(twin, instant):
            setattr(twin, instant, now)
    if isinstance(twin, AllowDay):
        twin.day = now.date()
    twin.pk = uuid7(now) if isinstance(row.pk, UUID) else None
    return type(row)._base_manager.bulk_create([twin])[0]


LASTING = [
    pytest.param(model, guard, id=name_of(model))
    for model, guard in GUARDED
    if isinstance(guard, ClosesOnly | RekeyedUpwards) or (isinstance(guard, AppendOnly) and guard.kept_days is None)
]
DELETE_GUARDS = {
    AppendOnly: "append_only_delete",
    ClosesOnly: "closes_only_delete",
    RekeyedUpwards: "rekeyed_upwards_delete",
}


@pytest.mark.parametrize(("model", "guard"), LASTING)
def test_no_table_is_emptied_at_once(w: World, model: Model, guard: AppendOnly | ClosesOnly | RekeyedUpwards) -> None:
    EXAMPLES[model](w)
    table = model._meta.db_table
    if connection.vendor == "postgresql":
        connection.check_constraints()  # with foreign keys still to be checked, TRUNCATE is refused for that
        with broken(f"{table}_no_truncate"):
            sql(f"TRUNCATE {table} CASCADE")
    else:
        # Without a condition SQLite would drop the pages unread, if there were no trigger.
        with broken(f"{table}_{DELETE_GUARDS[type(guard)]}"):
            sql(f"DELETE FROM {table}")


@pytest.mark.parametrize(("model", "guard"), LASTING)
def test_no_row_is_replaced_by_one_of_the_same_key(
    w: World, model: Model, guard: AppendOnly | ClosesOnly | RekeyedUpwards
) -> None:
    """`INSERT OR REPLACE` deletes the row that is in its way; `ON CONFLICT DO UPDATE` changes it."""
    row = EXAMPLES[model](w)
    field = next(field for field in columns(model, "ends", *getattr(guard, "once", ())) if not field.primary_key)
    before = rows_of(row).values_list().get()
    twin = copy(row)
    setattr(twin, field.attname, another(field, row))
    with tried():
        with pytest.raises(IntegrityError), transaction.atomic():
            if connection.vendor == "sqlite":
                values = [
                    column.get_db_prep_save(column.value_from_object(twin), connection) for column in columns(model)
                ]
                names = ", ".join(str(column.column) for column in columns(model))
                places = ", ".join(["%s"] * len(values))
                sql(f"INSERT OR REPLACE INTO {model._meta.db_table} ({names}) VALUES ({places})", *values)
            else:
                model._base_manager.bulk_create(
                    [twin],
                    update_conflicts=True,
                    update_fields=[field.name],
                    unique_fields=[model._meta.pk.name],
                )
        assert rows_of(row).values_list().get() == before


# --- closes only -------------------------------------------------------------------------------------

FILLED_ONCE = [
    pytest.param(model, model._meta.get_field(column), id=f"{name_of(model)}-{column}")
    for model, guard in GUARDED
    if isinstance(guard, ClosesOnly)
    for column in guard.once
]


@pytest.mark.parametrize(("model", "guard"), of_kind(ClosesOnly))
def test_a_dated_row_keeps_what_it_was_born_with(w: World, model: Model, guard: ClosesOnly) -> None:
    row = EXAMPLES[model](w)
    for field in columns(model, "ends", *guard.once):
        with broken(f"{model._meta.db_table}_closes_only_update"):
            rows_of(row).update(**{field.attname: another(field, row)})


@pytest.mark.parametrize(("model", "field"), FILLED_ONCE)
def test_what_may_be_filled_once_is_not_filled_again(w: World, model: Model, field: models.Field[Any, Any]) -> None:
    row = EXAMPLES[model](w)
    row.refresh_from_db()
    with broken(f"{model._meta.db_table}_closes_only_update"):
        rows_of(row).update(**{field.attname: another(field, row)})


@pytest.mark.parametrize(("model", "field"), FILLED_ONCE)
def test_what_was_filled_is_not_emptied(w: World, model: Model, field: models.Field[Any, Any]) -> None:
    row = EXAMPLES[model](w)
    with broken(f"{model._meta.db_table}_closes_only_update"):
        rows_of(row).update(**{field.attname: None if field.null else ""})


@pytest.mark.parametrize(("model", "guard"), of_kind(ClosesOnly))
def test_a_dated_row_is_never_deleted(w: World, model: Model, guard: ClosesOnly) -> None:
    row = EXAMPLES[model](w)
    with broken(f"{model._meta.db_table}_closes_only_delete"):
        sql(f"DELETE FROM {model._meta.db_table} WHERE id = %s", row.pk)


@pytest.mark.parametrize(("model", "guard"), of_kind(ClosesOnly))
def test_an_end_never_moves_later(w: World, model: Model, guard: ClosesOnly) -> None:
    row = EXAMPLES[model](w)
    rows_of(row).update(ends=NOW)
    with broken(f"{model._meta.db_table}_closes_only_update"):
        rows_of(row).update(ends=NOW + timedelta(microseconds=1))


@pytest.mark.parametrize(("model", "guard"), of_kind(ClosesOnly))
def test_what_has_an_end_is_never_opened_again(w: World, model: Model, guard: ClosesOnly) -> None:
    row = EXAMPLES[model](w)
    rows_of(row).update(ends=NOW)
    with broken(f"{model._meta.db_table}_closes_only_update"):
        rows_of(row).update(ends=None)


@pytest.mark.parametrize(("model", "guard"), of_kind(ClosesOnly))
def test_an_end_may_come_nearer_unless_it_was_an_act(w: World, model: Model, guard: ClosesOnly) -> None:
    row = EXAMPLES[model](w)
    rows_of(row).update(ends=NOW)
    if guard.ends_once or "ended" in guard.once:
        with broken(f"{model._meta.db_table}_closes_only_update"):
            rows_of(row).update(ends=NOW - timedelta(hours=1))
    else:
        rows_of(row).update(ends=NOW - timedelta(hours=1))
        assert rows_of(row).get().ends == NOW - timedelta(hours=1)


def test_an_authorization_that_expired_cannot_be_called_revoked(w: World) -> None:
    """How it ended decides past rulings (`authorization_expired` or `_revoked`), so it is said by ending it."""
    given = w.authorize(at=START)
    with broken("consents_authorization_closes_only_update"):
        rows_of(given).update(ended="revoked")
    rows_of(given).update(ended="revoked", ends=NOW)


# --- no overlap --------------------------------------------------------------------------------------

LATER = NOW + timedelta(hours=2)
HALF = START + timedelta(hours=1)
FAR = NOW + timedelta(days=900)  # as good as no end, for what must have one

# The first row runs from START until NOW.
OVERLAPPING = {
    "the same": (START, NOW),
    "inside": (HALF, HALF + timedelta(minutes=1)),
    "around": (START - timedelta(hours=1), LATER),
    "begins inside": (HALF, LATER),
    "ends inside": (START - timedelta(hours=1), HALF),
    "begins a microsecond early": (NOW - timedelta(microseconds=1), FAR),
    "begins before and goes on": (START - timedelta(hours=1), FAR),
}
APART = {
    "begins as the other ends": (NOW, LATER),
    "goes on from there": (NOW, FAR),
    "ends as the other begins": (START - timedelta(hours=1), START),
    "empty inside": (HALF, HALF),
    "empty at the start": (START, START),
}


def again(row: models.Model, **changes: Any) -> models.Model:
    """A second row like it but for the changes, written in bulk."""
    twin = copy(row)
    twin.pk = None
    for name, value in changes.items():
        setattr(twin, name, value)
    return type(row)._base_manager.bulk_create([twin])[0]


def ended_now(w: World, model: Model) -> models.Model:
    row = EXAMPLES[model](w)
    rows_of(row).update(ends=NOW)
    row.refresh_from_db()
    return row


def is_accepted(row: models.Model, starts: datetime, ends: datetime | None) -> bool:
    """Whether a second row like it may run from `starts` until `ends`; it does not stay."""
    with tried():
        try:
            with transaction.atomic():
                again(row, starts=starts, ends=ends)
        except IntegrityError as error:
            assert f"{row._meta.db_table}_no_overlap" in str(error)
            return False
        return True


def overlap(model: Model) -> str:
    """The guard that refuses an overlap, or, of two rows without an end, its index."""
    return f"{model._meta.db_table}_no_overlap(_open)?"


@pytest.mark.parametrize(("model", "guard"), of_kind(NoOverlap))
def test_two_alike_are_never_in_force_at_once(w: World, model: Model, guard: NoOverlap) -> None:
    row = ended_now(w, model)
    tried = {name: (starts, None if guard.born_open else ends) for name, (starts, ends) in OVERLAPPING.items()}
    assert [name for name, dates in tried.items() if is_accepted(row, *dates)] == []


@pytest.mark.parametrize(("model", "guard"), of_kind(NoOverlap))
def test_two_alike_may_follow_each_other(w: World, model: Model, guard: NoOverlap) -> None:
    row = ended_now(w, model)
    tried: dict[str, tuple[datetime, datetime | None]] = {**APART}
    if guard.born_open:
        tried = {name: (starts, None) for name, (starts, _ends) in APART.items() if starts >= NOW}
    assert [name for name, dates in tried.items() if not is_accepted(row, *dates)] == []


@pytest.mark.parametrize(("model", "guard"), of_kind(NoOverlap))
def test_what_is_born_open_gets_its_end_later(w: World, model: Model, guard: NoOverlap) -> None:
    row = ended_now(w, model)
    if guard.born_open:
        with broken(f"{model._meta.db_table}_born_open"):
            again(row, starts=NOW, ends=LATER)


@pytest.mark.parametrize(("model", "guard"), of_kind(NoOverlap))
def test_two_alike_in_one_statement_are_seen(w: World, model: Model, guard: NoOverlap) -> None:
    row = ended_now(w, model)
    twins = [copy(row), copy(row)]
    for twin in twins:
        twin.pk = None
        twin.starts, twin.ends = NOW, None if guard.born_open else FAR  # type: ignore[attr-defined]
    with broken(overlap(model)):
        model._base_manager.bulk_create(twins)


@pytest.mark.parametrize(("model", "guard"), of_kind(NoOverlap))
def test_two_alike_without_an_end_are_not_both_in_force(w: World, model: Model, guard: NoOverlap) -> None:
    row = EXAMPLES[model](w)
    endless = None if model._meta.get_field("ends").null else FAR
    with broken(overlap(model)):
        again(row, starts=START - timedelta(days=1), ends=endless)


@pytest.mark.parametrize(("model", "guard"), of_kind(NoOverlap))
def test_what_ended_as_it_began_is_in_nobodys_way(w: World, model: Model, guard: NoOverlap) -> None:
    row = w.authorize(at=START) if model is Authorization else EXAMPLES[model](w)
    rows_of(row).update(ends=START)
    ends = None if guard.born_open else LATER
    assert rows_of(again(row, starts=START - timedelta(hours=1), ends=ends)).exists()


@pytest.mark.parametrize(("model", "guard"), of_kind(NoOverlap))
def test_another_of_any_one_column_is_another_question(w: World, model: Model, guard: NoOverlap) -> None:
    row = EXAMPLES[model](w) if guard.born_open else ended_now(w, model)
    for field in (model._meta.get_field(column) for column in guard.columns):
        assert isinstance(field, models.Field)
        with tried():
            assert rows_of(again(row, **{field.attname: another(field, row)})).exists()


def test_two_registrations_of_all_marketing_overlap(w: World) -> None:
    (everything,) = actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)
    assert everything.purpose_id is None
    with broken(overlap(Registration)):
        again(everything)


def test_two_registrations_of_one_purpose_overlap(w: World) -> None:
    (retail,) = actions.register(holding=w.hold(), purposes=[w.purpose("retail")], by=SUBSCRIBER, at=START)
    with broken(overlap(Registration)):
        again(retail)


def test_a_registration_of_one_purpose_stands_beside_that_of_all(w: World) -> None:
    (everything,) = actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)
    assert again(everything, purpose_id="retail").pk != again(everything, purpose_id="travel").pk


def test_two_authorizations_of_a_whole_purpose_overlap(w: World) -> None:
    wide = w.authorize(w.purpose("loan_finance"))
    assert wide.matter_id is None
    with broken("consents_authorization_no_overlap"):
        again(wide)


def test_two_authorizations_of_one_matter_overlap(w: World) -> None:
    narrow = w.authorize(w.offer)
    with broken("consents_authorization_no_overlap"):
        again(narrow)


def test_an_authorization_of_a_matter_stands_beside_that_of_its_purpose(w: World) -> None:
    wide = w.authorize(w.purpose("loan_finance"))
    assert again(wide, matter=w.offer, wording=w.offer.wordings.get()).pk != wide.pk


def test_mandates_only_proposed_do_not_overlap(w: World) -> None:
    proposed = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=START)
    assert again(proposed).pk != proposed.pk


def test_a_proposed_mandate_cannot_be_dated_into_one_in_force(w: World) -> None:
    """An overlap that an update makes, not an insert."""
    waiting = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=START)
    a_confirmed_mandate(w)
    with broken("telemarketers_mandate_no_overlap"):
        rows_of(waiting).update(starts=NOW)


# --- rekeyed upwards ---------------------------------------------------------------------------------


def test_a_number_moves_to_a_newer_key(w: World) -> None:
    row = w.hold().number
    assert rows_of(row).update(pseudonym=b"another pseudony", key=row.key + 1) == 1


@pytest.mark.parametrize("change", [{"pseudonym": b"another pseudony"}, {"key": 0}, {"key": 1}, {"id": 99, "key": 2}])
def test_a_number_changes_in_no_other_way(w: World, change: dict[str, Any]) -> None:
    with broken("record_number_rekeyed_upwards_update"):
        rows_of(w.hold().number).update(**change)


def test_a_number_is_never_deleted(w: World) -> None:
    """Rows that are somebody's answer would point at nothing, or at another number that came to have its id."""
    row = w.hold().number
    with broken("record_number_rekeyed_upwards_delete"):
        sql("DELETE FROM record_number WHERE id = %s", row.pk)


# --- guards that went missing ------------------------------------------------------------------------


# On PostgreSQL.
EXCLUSIONS = {
    f"{model._meta.db_table}_no_overlap"
    for model, guard in GUARDED
    if isinstance(guard, NoOverlap) and not guard.born_open
}


def drop(name: str, table: str) -> None:
    if connection.vendor == "sqlite":
        sql(f"DROP TRIGGER {name}")
    elif name in EXCLUSIONS:
        sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    elif name.endswith("_open") and not name.endswith("_born_open"):
        sql(f"DROP INDEX {name}")
    else:
        sql(f"DROP TRIGGER {name} ON {table}")


def in_catalogue() -> list[tuple[str, str]]:
    """(name, table) of every guard that the database really has."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'")
        else:
            cursor.execute(
                "SELECT tgname, tgrelid::regclass::text FROM pg_trigger"
                " WHERE NOT tgisinternal AND tgparentid = 0"
                " UNION SELECT conname, conrelid::regclass::text FROM pg_constraint WHERE contype = 'x'"
                " UNION SELECT indexrelid::regclass::text, indrelid::regclass::text FROM pg_index"
                " WHERE indexrelid::regclass::text LIKE '%no_overlap_open'"
            )
        return sorted(cursor.fetchall())


def test_a_migrated_database_lacks_no_guard(db: None) -> None:
    assert guards.missing(connection) == []


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("record_event_append_only_delete", "record_event"),
        ("consents_holding_closes_only_update", "consents_holding"),
        ("consents_authorization_no_overlap", "consents_authorization"),
        ("consents_registration_no_overlap", "consents_registration"),
    ],
)
def test_a_dropped_guard_is_missed_and_put_back(db: None, name: str, table: str) -> None:
    with tried():
        drop(name, table)
        assert guards.missing(connection) == [name]
        guards.install(connection)
        assert guards.missing(connection) == []


def test_whatever_guard_is_dropped_is_missed_and_put_back(db: None) -> None:
    """All that `install` put into the catalogue, one after the other."""
    whole = in_catalogue()
    not_missed = []
    for name, table in whole:
        with tried():
            drop(name, table)
            if name not in guards.missing(connection):
                not_missed.append(name)
            guards.install(connection)
            assert in_catalogue() == whole
    assert whole
    assert not_missed == []


if connection.vendor == "postgresql":

    def test_a_guard_switched_off_is_missed(db: None) -> None:
        with tried():
            sql("ALTER TABLE record_event DISABLE TRIGGER record_event_append_only_update")
            assert guards.missing(connection) == ["record_event_append_only_update"]


def test_installing_twice_changes_nothing(db: None) -> None:
    whole = in_catalogue()
    with tried():
        guards.install(connection)
        assert in_catalogue() == whole


def test_a_guard_put_back_guards(w: World) -> None:
    connection.check_constraints()
    with tried():
        drop("record_event_append_only_update", "record_event")
        guards.install(connection, "record")
        with broken("record_event_append_only_update"):
            Event.objects.update(at=NOW)


def test_after_a_migration_back_the_tables_that_are_left_get_their_guards(db: None) -> None:
    first = MigrationLoader(connection).project_state(("record", "0001_users_numbers_events")).apps
    with tried():
        sql("ALTER TABLE record_keyinuse RENAME TO not_there_yet")
        drop("record_event_append_only_delete", "record_event")
        guards.install(connection, "record", first)
        assert guards.missing(connection) == []


def test_the_system_check_names_a_missing_guard_and_the_remedy(db: None) -> None:
    with tried():
        drop("record_event_append_only_delete", "record_event")
        (found,) = checks.guards_are_there(databases=["default"])
    assert isinstance(found, CheckWarning)
    assert "record_event_append_only_delete" in found.msg
    assert "migrate" in (found.hint or "")


def test_the_system_check_asks_no_database_that_was_not_named(db: None) -> None:
    assert checks.guards_are_there(databases=None) == []


# --- two at once -------------------------------------------------------------------------------------


def permission(w: World, holding: Holding, **dates: datetime) -> Authorization:
    return Authorization(
        holding=holding, firm=w.loans, purpose=w.purpose("loan_finance"), channels=int(ALL_CHANNELS), **dates
    )


def insert_alone(row: Authorization) -> bool:
    """Inserts by a connection of its own; whether that was accepted."""
    try:
        Authorization.objects.bulk_create([row])
    except IntegrityError as error:
        assert "consents_authorization_no_overlap" in str(error)
        return False
    finally:
        connection.close()
    return True


def test_two_connections_at_once_cannot_both_insert_an_overlap(committed: World) -> None:
    holding = committed.hold()
    first = permission(committed, holding, starts=START, ends=LATER)
    second = permission(committed, holding, starts=HALF, ends=FAR)
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            Authorization.objects.bulk_create([first])
            result = other.submit(insert_alone, second)
            # Neither sees the other's row yet; the second must wait for the first one's fate.
            with pytest.raises(StillWaiting):
                result.result(timeout=0.5)
        assert result.result(timeout=10) is False
    assert list(Authorization.objects.all()) == [first]


def test_the_second_may_insert_where_the_first_gives_up(committed: World) -> None:
    holding = committed.hold()
    first, second = (permission(committed, holding, starts=START, ends=LATER) for _connection in range(2))
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            Authorization.objects.bulk_create([first])
            result = other.submit(insert_alone, second)
            transaction.set_rollback(True)
        assert result.result(timeout=10) is True
    assert list(Authorization.objects.all()) == [second]


def follow_alone(before: Holding, starts: datetime) -> bool:
    """Opens the number's next holding by a connection of its own; whether that was accepted."""
    try:
        Holding.objects.bulk_create([Holding(number_id=before.number_id, source=before.source, starts=starts)])
    except IntegrityError as error:
        assert "consents_holding_no_overlap" in str(error)
        return False
    finally:
        connection.close()
    return True


@pytest.mark.parametrize(("starts", "accepted"), [(HALF, False), (NOW, True)], ids=["too early", "in time"])
def test_who_follows_waits_until_the_row_before_is_closed(committed: World, starts: datetime, accepted: bool) -> None:
    before = committed.hold()
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            rows_of(before).update(ends=NOW)
            result = other.submit(follow_alone, before, starts)
            with pytest.raises(StillWaiting):
                result.result(timeout=0.5)
        assert result.result(timeout=10) is accepted
    assert Holding.objects.count() == 1 + accepted
