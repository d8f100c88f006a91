"""Has a row been rewritten by somebody who could switch the guards off?

A seal is a keyed BLAKE2b over all that a row says, made with a key that is not in the database (record/keys.py): its
first byte names the key, 16 more are the digest. An event's seal also covers the seal of the event before it on the
same object (record/ledger.py). What is sealed are plain values, the same when written and when read back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

import orjson
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from record import keys

LENGTH: Final = 17
DIGEST: Final = LENGTH - 1


class SealField(models.BinaryField):  # type: ignore[type-arg]  # takes none at run time
    """Seals its row as the row is first saved, one by one or in bulk."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        if add:
            setattr(model_instance, self.attname, sealer().seal(canonical_of(model_instance)))
        return super().pre_save(model_instance, add)


def plain(value: Any) -> Any:
    """A column's value as JSON has it: instants in UTC, bytes in hex. Says the same once it was stored and read."""
    convert = _PLAIN.get(type(value))
    return value if convert is None else convert(value)


def _plain_number(value: float) -> int | float:
    # PostgreSQL's jsonb writes 1e23 as 1 and 23 zeros, which is not what the float is exactly, and -0.0 as 0.0.
    return int(Decimal(repr(value))) if value.is_integer() else value


def _plain_members(members: dict[str, Any]) -> dict[str, Any]:
    if _PLAIN.keys().isdisjoint(map(type, members.values())):
        return members  # states are read by the million
    return {name: plain(member) for name, member in members.items()}


_PLAIN: Final[dict[type, Callable[[Any], Any]]] = {
    datetime: lambda instant: instant.astimezone(UTC).isoformat(),
    date: date.isoformat,
    time: time.isoformat,
    bytes: bytes.hex,
    memoryview: lambda view: bytes(view).hex(),
    UUID: str,
    float: _plain_number,
    dict: _plain_members,
    list: lambda members: [plain(member) for member in members],
}


@cache
def sealed(model: type[models.Model]) -> tuple[str, ...]:
    """The attributes that a seal of the model covers, in the order of their names.

    Not the row number that the database gives after the seal was made: nothing points at it, and events, whose order
    it says, are given theirs before.
    """
    later = model._meta.pk.attname if isinstance(model._meta.pk, models.AutoField) else ""
    if not isinstance(model._meta.get_field("seal"), SealField):
        later = ""
    return tuple(sorted({field.attname for field in model._meta.concrete_fields} - {"seal", later}))


def canonical_of(row: models.Model, previous: str = "") -> bytes:
    values = row.__dict__
    return canonical(type(row), {name: plain(values[name]) for name in sealed(type(row))}, previous)


def canonical(model: type[models.Model], image: Mapping[str, Any], previous: str = "") -> bytes:
    """What is sealed of a row with these plain values: the table, the values, the seal (hex) of the event before it."""
    values = [image[name] for name in sealed(model)]
    try:
        return orjson.dumps([model._meta.db_table, values, previous], option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a whole number of more than 64 bits
        return orjson.dumps([model._meta.db_table, _spelled(values), previous], option=orjson.OPT_SORT_KEYS)


def _spelled(value: Any) -> Any:
    """The same with its largest whole numbers in words."""
    if isinstance(value, dict):
        return {name: _spelled(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_spelled(member) for member in value]
    return str(value) if type(value) is int and not -(2**63) <= value < 2**64 else value


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals, and knows seals again, with the keys as they were when it was made: one for many rows."""

    keys: dict[int, bytes] = field(repr=False)  # oldest first; the last one seals

    def seal(self, text: bytes) -> bytes:
        (seal,) = self.seal_all([text])
        return seal

    def seal_all(self, texts: Iterable[bytes]) -> Iterator[bytes]:
        key_id, key = next(reversed(self.keys.items()))
        prefix = bytes((key_id,))
        for text in texts:
            yield prefix + _digest(text, key)

    def fits(self, made: str, text: bytes) -> bool:
        """Whether that seal, in hex, is of this text, under the key that it names; not if the key is unknown."""
        try:
            seal = bytes.fromhex(made)
            return seal[1:] == _digest(text, self.keys[seal[0]])
        except (ValueError, IndexError, KeyError):  # no hex; nothing; no such key
            return False


def sealer() -> Sealer:
    """With the keys that there are now. Looks at their folder, which costs more than a seal does."""
    return Sealer(keys.sealing_keys())


def _digest(text: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(text, key=key, digest_size=DIGEST).digest()


def mould(text: bytes, holes: Mapping[str, bytes]) -> bytes:
    """A canonical text to be filled with `%`, for rows by the thousand that are alike: the strings `holes` become the
    places named, such as `b"%(id)d"`.
    """
    filled = text.replace(b"%", b"%%")
    for hole, place in holes.items():
        filled = filled.replace(orjson.dumps(hole), place)
    return filled


# --- rows that are there already: for migrations -------------------------------------------------------

CHUNK: Final = 5_000


def seal_rows(model: type[models.Model], connection: BaseDatabaseWrapper) -> None:
    """Seals every row of a table whose rows are sealed each by itself."""
    rows = model._default_manager.using(connection.alias).order_by("pk").iterator(CHUNK)
    seal = sealer().seal
    _store(model, ((seal(canonical_of(row)), row.pk) for row in rows), connection)


def seal_chains(model: type[models.Model], connection: BaseDatabaseWrapper) -> None:
    """Seals every event, over the one before it on the same object."""
    rows = model._default_manager.using(connection.alias).order_by("object_kind", "object_id", "id").iterator(CHUNK)

    seal = sealer().seal

    def chained() -> Iterator[tuple[bytes, Any]]:
        for _object, events in groupby(rows, key=attrgetter("object_kind", "object_id")):
            made = b""
            for event in events:
                made = seal(canonical_of(event, made.hex()))
                yield made, event.pk

    _store(model, chained(), connection)


def _store(model: type[models.Model], seals: Iterator[tuple[bytes, Any]], connection: BaseDatabaseWrapper) -> None:
    key = model._meta.pk
    statement = f"UPDATE {model._meta.db_table} SET seal = %s WHERE {key.column} = %s"
    while chunk := [(made, key.get_db_prep_value(pk, connection)) for made, pk in islice(seals, CHUNK)]:
        with connection.cursor() as cursor:
            cursor.executemany(statement, chunk)
