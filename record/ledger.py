"""Writes events: what was done, by whom, to what, when, and how the object stood after it (law 4).

Called by actions only, inside the transaction that makes the change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from django.db import connection, models

from record import bulk
from record.models import Event, User
from record.terms import ActorKind, Verb


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a kind and, where there is one, that one's id."""

    kind: ActorKind
    id: int | None = None

    @classmethod
    def staff(cls, user: User) -> Actor:
        return cls(ActorKind.STAFF, user.pk)


SYSTEM = Actor(ActorKind.SYSTEM)
OPERATOR = Actor(ActorKind.OPERATOR)


def image(row: models.Model) -> dict[str, Any]:
    """The row as its event keeps it: every column."""
    return {field.attname: _plain(getattr(row, field.attname)) for field in row._meta.concrete_fields}


def record(verb: Verb, *, of: models.Model, by: Actor, at: datetime) -> None:
    record_all(verb, of=[of], by=by, at=at)


def record_all(verb: Verb, *, of: Iterable[models.Model], by: Actor, at: datetime) -> None:
    """One event for each of the rows, in one statement."""
    Event.objects.bulk_create(
        Event(
            verb=verb,
            actor_kind=by.kind,
            actor_id=by.id,
            object_kind=kind_of(row),
            object_id=str(row.pk),
            at=at,
            state=image(row),
        )
        for row in of
    )


def record_alike(
    verb: Verb, *, of: models.Model, attname: str, values: Sequence[Any], ids: Sequence[int], by: Actor, at: datetime
) -> None:
    """One event for each row that `record.bulk.insert_alike` made, from the same likeness."""
    if not ids:
        return
    stored = connection.ops.adapt_datetimefield_value(at.astimezone(UTC))
    alike = (verb.value, by.kind.value, by.id, kind_of(of), stored)
    states = _states_alike(image(of), attname, values, ids)
    bulk.insert(
        Event,
        ("verb", "actor_kind", "actor_id", "object_kind", "at", "object_id", "state"),
        ((*alike, str(pk), state) for pk, state in zip(ids, states, strict=True)),
    )


def _states_alike(common: dict[str, Any], attname: str, values: Sequence[Any], ids: Sequence[int]) -> Iterator[str]:
    """`json.dumps({**common, "id": pk, attname: value})` for each, what they have in common written only once."""
    spelled = values if set(map(type, values)) <= {int} else [json.dumps(value) for value in values]
    common = {"id": None, **common, attname: None}
    fixed = {key: json.dumps({key: value})[1:-1].replace("%", "%%") for key, value in common.items()}
    open_ = {key: json.dumps(key).replace("%", "%%") + ": %s" for key in ("id", attname)}
    template = "{" + ", ".join({**fixed, **open_}.values()) + "}"  # the id comes first
    return (template % pair for pair in zip(ids, spelled, strict=True))


def kind_of(row: models.Model) -> str:
    return row._meta.model_name or ""


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value
