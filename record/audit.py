"""Is the record still what the verbs wrote, whoever has had the database in hand since?

Reads every row and every event of every room, names what differs, and changes nothing. What each kind of difference
means, and what no audit can find, is in docs/operations.md (audit_record).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from record import catalogue, keys, seals, stored_rows
from record.differences import Difference, What, shown
from record.guards import NoOverlap
from record.models import Event, Number
from record.pseudonyms import PseudonymUnreadable
from record.seals import SealField
from record.stored_rows import CHUNK, Image, Table

# What is neither compared with events nor sealed, and why: an app, a model, or one field of a model that is sealed.
# Whatever is not named here and has no seal must have events that say how each of its rows stands.
EXEMPT: Final[dict[str, str]] = {
    "auth": "Django's own; nobody's rights are decided by it yet",
    "contenttypes": "Django's own; a list of tables",
    "record.user": "sign-ins change at every visit; who did what is in the events. Until people sign in",
    "record.user_groups": "goes with the user",
    "record.user_user_permissions": "goes with the user",
    "record.keyinuse": "state of the machinery: written once and closed once, which its guards see to",
    "record.notice": "what is owed and how far it got; the change that it tells of is in the events",
    "record.beatlease": "who ticks at the moment",
    "record.number": "no other table may hold a pseudonym; each is read with the live keys instead",
    "consents.registrationimport": "how far an import has come; what it did is in the events",
    "telemarketers.idempotencykey": "what a retry is known by; forgotten after a day, and nothing rests on it",
    "consents.checksegment.id": "given after the seal is made; nothing points at it",
    "consents.allowday.id": "given after the seal is made; nothing points at it",
}

Look = Callable[[int], None]
Model = type[models.Model]
T = TypeVar("T")


def differences(connection: BaseDatabaseWrapper, look: Look = lambda rows: None) -> Iterator[Difference]:
    """Everything that is not as it should be, in no more memory for a large record than for a small one.

    `look` is told of rows as they are looked at; there are `size` of them.
    """
    yield from catalogue.differences(connection, [model._meta.db_table for model in ours()])
    yield from in_rows(connection, look)


def in_rows(connection: BaseDatabaseWrapper, look: Look = lambda rows: None) -> Iterator[Difference]:
    """What is not as it should be in the tables' rows."""
    with stored_rows.snapshot(connection):
        yield from _traces(connection, look)
        yield from _sealed_rows(connection, look)
        yield from _numbers(connection, look)
        for model in ours():
            table = Table(model, connection)
            yield from _broken_checks(table, connection)
            yield from _broken_uniques(table, connection)
            yield from _overlaps(table, connection)
            yield from _references(table, connection)


def size(connection: BaseDatabaseWrapper) -> int:
    """How many rows `differences` tells `look` of."""
    counted: list[Model] = [Event, Number, *_sealed()]
    return sum(model._base_manager.using(connection.alias).count() for model in counted)


# --- which models, and how each is kept ----------------------------------------------------------------


def ours() -> list[Model]:
    """Every table but those of exempt apps."""
    models_of_all = apps.get_models(include_auto_created=True)
    return [model for model in models_of_all if model._meta.app_label not in EXEMPT and not model._meta.proxy]


def is_sealed(model: Model) -> bool:
    return any(field.name == "seal" for field in model._meta.concrete_fields)


def is_imaged(model: Model) -> bool:
    """Whether its rows are made and changed by verbs alone, each of which writes an event."""
    return not is_sealed(model) and model._meta.label_lower not in EXEMPT


@cache
def _imaged() -> dict[str, Model]:
    return {str(model._meta.model_name): model for model in ours() if is_imaged(model)}


@cache
def _sealed() -> list[Model]:
    """Those whose rows are sealed each by itself. Events are sealed in chains."""
    return [model for model in ours() if is_sealed(model) and isinstance(model._meta.get_field("seal"), SealField)]


# --- events, and the rows that they are about ----------------------------------------------------------


@dataclass(slots=True)
class _Object:
    """What its events say of an object."""

    kind: str
    id: str
    state: Image


def _traces(connection: BaseDatabaseWrapper, look: Look) -> Iterator[Difference]:
    broken: list[Difference] = []
    for kind, objects in groupby(_objects(connection, look, broken), key=attrgetter("kind")):
        model = _imaged().get(kind)
        table = Table(model, connection) if model else None
        for chunk in _batched(objects, CHUNK):
            if table:
                yield from _compared(table, chunk, connection)
            else:
                yield from (Difference(What.UNKNOWN_KIND, kind, each.id) for each in chunk)
            yield from broken
            broken.clear()
    yield from broken
    for kind, model in _imaged().items():
        yield from _without_events(kind, Table(model, connection), connection)


def _objects(connection: BaseDatabaseWrapper, look: Look, broken: list[Difference]) -> Iterator[_Object]:
    """Each object with its latest state. Events whose seal does not fit go to `broken`."""
    table = Table(Event, connection)
    rows = stored_rows.select(
        connection, f"SELECT {table.columns} FROM {table.name} ORDER BY object_kind, object_id, {table.key}"
    )
    of_object = itemgetter("object_kind", "object_id")
    sealer = seals.sealer()
    for (kind, object_id), events in groupby(map(table.image, rows), key=of_object):
        previous = ""
        for event in events:
            if not sealer.fits(event["seal"], seals.canonical(Event, event, previous)):
                found = f"{event['verb']} {kind} {object_id}"
                broken.append(Difference(What.BROKEN_SEAL, "event", str(event["id"]), found=found))
            previous = event["seal"]
            look(1)
        yield _Object(str(kind), str(object_id), event["state"] if isinstance(event["state"], dict) else {})


def _compared(table: Table, objects: Sequence[_Object], connection: BaseDatabaseWrapper) -> Iterator[Difference]:
    rows = _rows(table, [each.id for each in objects], connection)
    for each in objects:
        row = rows.get(each.id)
        if row is None:
            yield Difference(What.NO_ROW, each.kind, each.id)
        elif row != each.state:
            yield from _fields(table, each, row)


def _fields(table: Table, of: _Object, row: Image) -> Iterator[Difference]:
    for name, found in row.items():
        field = table.fields[name]
        # What the table has got since the event: as it was for all rows then.
        recorded = of.state[name] if name in of.state else seals.plain(field.get_default())
        if recorded == found:
            continue
        if isinstance(field, models.BinaryField):
            yield Difference(What.ROW_DIFFERS, of.kind, of.id, name)
        else:
            yield Difference(What.ROW_DIFFERS, of.kind, of.id, name, shown(recorded), shown(found))


def _rows(table: Table, ids: Iterable[str], connection: BaseDatabaseWrapper) -> Mapping[str, Image]:
    """The rows with these keys, as events write them."""
    key = table.model._meta.pk
    wanted = [pk for pk in (_key(key, each, connection) for each in ids) if pk is not None]
    if not wanted:
        return {}
    sql = f"SELECT {table.columns} FROM {table.name} WHERE {table.key}"
    if connection.vendor == "sqlite":
        rows = stored_rows.select(connection, f"{sql} IN ({', '.join(['%s'] * len(wanted))})", wanted)
    else:
        rows = stored_rows.select(connection, f"{sql} = ANY(%s)", [wanted])
    images = map(table.image, rows)
    return {str(image[key.attname]): image for image in images}


def _key(field: models.Field[Any, Any], text: str, connection: BaseDatabaseWrapper) -> Any:
    """The key that is written so, as the database takes it; None if none is."""
    if isinstance(field, models.IntegerField):
        key = int(text) if text.isdecimal() else -1
        return key if str(key) == text and key.bit_length() < 64 else None
    try:
        return field.get_db_prep_value(field.to_python(text), connection)
    except ValidationError:
        return None


def _without_events(kind: str, table: Table, connection: BaseDatabaseWrapper) -> Iterator[Difference]:
    sql = (
        f"SELECT {table.key} FROM {table.name} AS present WHERE NOT EXISTS (SELECT 1 FROM record_event"
        f" WHERE object_kind = '{kind}' AND object_id = CAST(present.{table.key} AS varchar(40)))"
    )
    for (pk,) in stored_rows.select(connection, sql):
        yield Difference(What.NO_EVENT, kind, str(pk))


# --- rows that are sealed each by itself ---------------------------------------------------------------


def _sealed_rows(connection: BaseDatabaseWrapper, look: Look) -> Iterator[Difference]:
    sealer = seals.sealer()
    for model in _sealed():
        table = Table(model, connection)
        key = model._meta.pk.attname
        for image in map(table.image, stored_rows.select(connection, f"SELECT {table.columns} FROM {table.name}")):
            if not sealer.fits(image["seal"], seals.canonical(model, image)):
                yield Difference(What.BROKEN_SEAL, _kind(table), str(image[key]))
            look(1)
        for related, column in getattr(model, "made_of", {}).items():
            yield from _incomplete(table, related, column, connection)


def _incomplete(table: Table, related: str, column: str, connection: BaseDatabaseWrapper) -> Iterator[Difference]:
    relation = table.model._meta.get_field(related)
    assert isinstance(relation, models.ManyToOneRel)
    part, link = relation.related_model._meta.db_table, relation.field.column
    sql = (
        f"SELECT {table.key}, {column}, present FROM (SELECT {table.key}, {column},"
        f" (SELECT count(*) FROM {part} WHERE {part}.{link} = whole.{table.key}) AS present"
        f" FROM {table.name} AS whole) AS counted WHERE present <> {column}"
    )
    for pk, says, present in stored_rows.select(connection, sql):
        yield Difference(
            What.INCOMPLETE, _kind(table), _spelled(table, pk, connection), column, str(says), str(present)
        )


# --- numbers ------------------------------------------------------------------------------------------


def _numbers(connection: BaseDatabaseWrapper, look: Look) -> Iterator[Difference]:
    """Whether each pseudonym is a number's under the key that its row names. Neither is ever shown."""
    live = keys.pseudonymizer().key_ids
    for key, count in stored_rows.select(connection, "SELECT key, count(*) FROM record_number GROUP BY key ORDER BY 1"):
        if key not in live:
            yield Difference(What.UNKNOWN_KEY, "number_key", str(key), found=str(count))
    rows = stored_rows.select(connection, "SELECT id, key, pseudonym FROM record_number")
    for chunk in _batched(rows, CHUNK):
        for key in live:
            alike = [(pk, pseudonym) for pk, under, pseudonym in chunk if under == key]
            for pk in _unreadable(key, alike):
                yield Difference(What.UNREADABLE, "number", str(pk))
        look(len(chunk))


def _unreadable(key: int, rows: Sequence[tuple[int, Any]]) -> Iterator[int]:
    """Of the rows (id, pseudonym) under that key, those that it does not read."""
    try:
        if all(isinstance(pseudonym, bytes) for _pk, pseudonym in rows):
            keys.pseudonymizer().reveal_many(key, [pseudonym for _pk, pseudonym in rows])
            return
    except PseudonymUnreadable:
        pass
    if len(rows) == 1:
        yield rows[0][0]
        return
    middle = len(rows) // 2
    yield from _unreadable(key, rows[:middle])
    yield from _unreadable(key, rows[middle:])


# --- what tables ask of their rows: looked at again, since whoever owns a table can drop a constraint -----


def _broken_checks(table: Table, connection: BaseDatabaseWrapper) -> Iterator[Difference]:
    checks = _checks(table, connection)
    if not checks:
        return
    broken = [f"NOT ({check})" for check in checks.values()]
    sql = f"SELECT {table.key}, {', '.join(broken)} FROM {table.name} WHERE {' OR '.join(broken)}"
    for pk, *answers in stored_rows.select(connection, sql):
        for name, is_broken in zip(checks, answers, strict=True):
            if is_broken:
                yield Difference(What.BREAKS_RULE, _kind(table), _spelled(table, pk, connection), name)


def _checks(table: Table, connection: BaseDatabaseWrapper) -> dict[str, str]:
    """The conditions that columns and named constraints ask of a row, as SQL."""
    editor = connection.SchemaEditorClass(connection, collect_sql=True)
    checks = {}
    for name, field in table.fields.items():
        if condition := field.db_parameters(connection)["check"]:
            checks[name] = condition
    for constraint in table.model._meta.constraints:
        if isinstance(constraint, models.CheckConstraint):
            sql = str(constraint.constraint_sql(table.model, editor))
            checks[constraint.name] = sql[sql.index("CHECK ") + len("CHECK ") :]
    return checks


def _broken_uniques(table: Table, connection: BaseDatabaseWrapper) -> Iterator[Difference]:
    meta = table.model._meta
    alone = [(field.attname,) for field in table.fields.values() if field.unique and not field.primary_key]
    named = [
        tuple(meta.get_field(name).attname for name in constraint.fields)  # type: ignore[union-attr]
        for constraint in meta.constraints
        if isinstance(constraint, models.UniqueConstraint) and constraint.fields and not constraint.condition
    ]
    together = [tuple(meta.get_field(name).attname for name in names) for names in meta.unique_together]  # type: ignore[union-attr]
    for names in (*alone, *named, *together):
        columns = [f'"{table.fields[name].column}"' for name in names]
        filled = " AND ".join(f"{column} IS NOT NULL" for column in columns)
        sql = (
            f"SELECT min(CAST({table.key} AS varchar(40))), count(*) FROM {table.name} WHERE {filled}"
            f" GROUP BY {', '.join(columns)} HAVING count(*) > 1"
        )
        for pk, count in stored_rows.select(connection, sql):
            yield Difference(What.TWICE, _kind(table), str(pk), ", ".join(names), "1", str(count))


def _overlaps(table: Table, connection: BaseDatabaseWrapper) -> Iterator[Difference]:
    endless = "'infinity'::timestamptz" if connection.vendor == "postgresql" else "'~'"  # after every instant
    for guard in getattr(table.model, "guards", ()):
        if not isinstance(guard, NoOverlap):
            continue
        alike = ", ".join((*guard.columns, *guard.or_none))
        sql = (
            f"SELECT {table.key} FROM (SELECT {table.key}, starts, max(COALESCE(ends, {endless}))"
            f" OVER (PARTITION BY {alike} ORDER BY starts, {table.key}"
            " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS taken"
            f" FROM {table.name} WHERE starts IS NOT NULL AND (ends IS NULL OR ends > starts)) AS following"
            " WHERE taken > starts"
        )
        for (pk,) in stored_rows.select(connection, sql):
            yield Difference(What.OVERLAPS, _kind(table), _spelled(table, pk, connection))


def _references(table: Table, connection: BaseDatabaseWrapper) -> Iterator[Difference]:
    """Keys of rows that are not there, whether or not the database itself holds them."""
    for field in table.fields.values():
        if not isinstance(field, models.ForeignKey):
            continue
        target = field.target_field
        sql = (
            f'SELECT {table.key}, "{field.column}" FROM {table.name} AS here WHERE "{field.column}" IS NOT NULL'
            f' AND NOT EXISTS (SELECT 1 FROM "{target.model._meta.db_table}" AS there'
            f' WHERE there."{target.column}" = here."{field.column}")'
        )
        for pk, named in stored_rows.select(connection, sql):
            found = shown(named if isinstance(named, int) else str(named))
            yield Difference(
                What.POINTS_NOWHERE, _kind(table), _spelled(table, pk, connection), field.attname, found=found
            )


def _kind(table: Table) -> str:
    return str(table.model._meta.model_name)


def _spelled(table: Table, pk: Any, connection: BaseDatabaseWrapper) -> str:
    """A raw key as events and differences write it."""
    return str(stored_rows.reader(table.model._meta.pk, connection.vendor)(pk))


def _batched(items: Iterable[T], count: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, count)):
        yield batch
