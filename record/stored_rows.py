"""How do rows read as they lie in their tables, whatever somebody has put there?

The ORM reads what it wrote itself. An audit must also read what somebody else left, and neither stumble over it nor
take it for what it resembles: an instant spelled otherwise compares otherwise on SQLite. So columns are fetched raw
and turned into plain values (record/seals.py) here; what no honest row could hold becomes a text that equals nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import ServerCursor
from psycopg.types.string import TextLoader

from record import seals

CHUNK: Final = 2_000

_names = count()

Image = dict[str, Any]
Reads = Callable[[Any], Any]


@contextmanager
def snapshot(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Reads inside see one state of the database and hold nobody up. Within a transaction, that one's."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL cursor_tuple_fraction = 1")  # everything is fetched, not the first rows
            yield
    else:
        # Not `atomic`: it would begin as a writer (transaction_mode), and others would have to wait.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


def select(connection: BaseDatabaseWrapper, sql: str, params: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, raw, a chunk at a time. Inside a snapshot."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            while rows := cursor.fetchmany(CHUNK):
                yield from rows
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, ServerCursor(connection.connection, f"rows_{next(_names)}") as cursor:
        for type_name in ("timestamptz", "date", "time", "jsonb"):
            cursor.adapters.register_loader(type_name, TextLoader)
        cursor.execute(sql, params or None)
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


class Table:
    """The columns of a model's table: how they are selected, and how a raw row reads."""

    def __init__(self, model: type[models.Model], connection: BaseDatabaseWrapper) -> None:
        self.model = model
        self.fields = {field.attname: field for field in model._meta.concrete_fields}
        # On SQLite a bare column is converted by its declared type; an expression is not.
        sign = "+" if connection.vendor == "sqlite" else ""
        self.columns = ", ".join(f'{sign}"{field.column}"' for field in self.fields.values())
        self.name = f'"{model._meta.db_table}"'
        self.key = f'"{model._meta.pk.column}"'
        reads = {name: reader(field, connection.vendor) for name, field in self.fields.items()}
        self._reads = [(name, read) for name, read in reads.items() if read is not as_it_is]

    def image(self, row: Sequence[Any]) -> Image:
        """The plain value of each attribute."""
        image = dict(zip(self.fields, row, strict=True))
        for name, read in self._reads:
            image[name] = read(image[name])
        return image


def unreadable(value: Any) -> str:
    return f"no such value: {type(value).__name__} {value!r}"


def reader(field: models.Field[Any, Any], vendor: str) -> Reads:
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    kind = field.get_internal_type()
    if kind in READS_EVERYWHERE:
        return READS_EVERYWHERE[kind]
    if kind in READS[vendor]:
        return READS[vendor][kind]
    if vendor == "postgresql":
        return as_it_is  # the column's type lets nothing else in
    return _only(int) if kind.endswith(("IntegerField", "AutoField")) else _only(str)


def as_it_is(value: Any) -> Any:
    return value


def _only(kind: type) -> Reads:
    return lambda value: value if value is None or type(value) is kind else unreadable(value)


def _bytes(value: Any) -> Any:
    if value is None:
        return None
    return value.hex() if type(value) is bytes else unreadable(value)


def _json(value: Any) -> Any:
    if value is None:
        return None
    try:
        return seals.plain(orjson.loads(value))
    except (orjson.JSONDecodeError, TypeError):
        return unreadable(value)


def _postgres_instant(value: str | None) -> Any:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).isoformat()
    except ValueError:  # infinity, or a year that Python does not know
        return unreadable(value)


def _sqlite_instant(value: Any) -> Any:
    """As Django spells it, to the letter: SQLite compares letters."""
    if value is None:
        return None
    if type(value) is str and len(value) in (19, 26) and value[10] == " ":
        return f"{value[:10]}T{value[11:]}+00:00"
    return unreadable(value)


def _sqlite_truth(value: Any) -> Any:
    return None if value is None else {0: False, 1: True}.get(value, unreadable(value))


def _sqlite_uuid(value: Any) -> Any:
    if value is None:
        return None
    if type(value) is str and len(value) == 32:
        return f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}"
    return unreadable(value)


def _postgres_uuid(value: UUID | None) -> Any:
    return None if value is None else str(value)


READS_EVERYWHERE: Final[dict[str, Reads]] = {"BinaryField": _bytes, "JSONField": _json}
READS: Final[dict[str, dict[str, Reads]]] = {
    "sqlite": {
        "DateTimeField": _sqlite_instant,
        "BooleanField": _sqlite_truth,
        "UUIDField": _sqlite_uuid,
    },
    "postgresql": {
        "DateTimeField": _postgres_instant,
        "UUIDField": _postgres_uuid,
    },
}
