"""Writes events: what was done, by whom, to what, when, and how the object stood after it (law 4).

Called by actions only, inside the transaction that makes the change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, models

from record import bulk, seals
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
    return {field.attname: seals.plain(getattr(row, field.attname)) for field in row._meta.concrete_fields}


def record(verb: Verb, *, of: models.Model, by: Actor, at: datetime) -> None:
    record_all(verb, of=[of], by=by, at=at)


def record_all(verb: Verb, *, of: Iterable[models.Model], by: Actor, at: datetime) -> None:
    """One event for each of the rows, in one statement, sealed over the row's event before.

    The rows were inserted or updated before this in the same transaction. That locks them, so that of two who change
    one row the second finds the first one's event here.
    """
    rows = list(of)
    if not rows:
        return
    events = [
        Event(
            id=pk,
            verb=verb.value,
            actor_kind=by.kind.value,
            actor_id=by.id,
            object_kind=kind_of(row),
            object_id=str(row.pk),
            at=at,
            state=image(row),
        )
        for pk, row in zip(bulk.next_ids(Event, len(rows)), rows, strict=True)
    ]
    last = _last_seals(events)
    sealer = seals.sealer()
    for event in events:
        of_object = event.object_kind, event.object_id
        event.seal = last[of_object] = sealer.seal(seals.canonical_of(event, last.get(of_object, b"").hex()))
    Event.objects.bulk_create(events)


def _last_seals(events: Sequence[Event]) -> dict[tuple[str, str], bytes]:
    """Of each object that has events already, the latest one's seal."""
    earlier = Event.objects.filter(
        object_kind__in={event.object_kind for event in events}, object_id__in={event.object_id for event in events}
    )
    found = earlier.order_by("id").values_list("object_kind", "object_id", "seal")
    return {(kind, object_id): bytes(seal) for kind, object_id, seal in found}


def record_alike(
    verb: Verb, *, of: models.Model, attname: str, values: Sequence[Any], ids: Sequence[int], by: Actor, at: datetime
) -> None:
    """One event for each row that `record.bulk.insert_alike` made, from the same likeness. The first of its object."""
    if not ids:
        return
    event_ids = bulk.next_ids(Event, len(ids))
    states = _states_alike(image(of), attname, values, ids)
    made = _seals_alike(_mould(verb, of=of, attname=attname, by=by, at=at), event_ids, values, ids)
    bulk.insert(
        Event,
        ("id", "object_id", "state", "seal"),
        zip(event_ids, map(str, ids), states, made, strict=True),
        {
            "verb": verb.value,
            "actor_kind": by.kind.value,
            "actor_id": by.id,
            "object_kind": kind_of(of),
            "at": connection.ops.adapt_datetimefield_value(at.astimezone(UTC)),
        },
    )


def _states_alike(common: dict[str, Any], attname: str, values: Sequence[Any], ids: Sequence[int]) -> Iterator[str]:
    """`json.dumps({**common, "id": pk, attname: value})` for each, what they have in common written only once."""
    spelled = values if set(map(type, values)) <= {int} else [json.dumps(value) for value in values]
    common = {"id": None, **common, attname: None}
    fixed = {key: json.dumps({key: value})[1:-1].replace("%", "%%") for key, value in common.items()}
    open_ = {key: json.dumps(key).replace("%", "%%") + ": %s" for key in ("id", attname)}
    template = "{" + ", ".join({**fixed, **open_}.values()) + "}"  # the id comes first
    return (template % pair for pair in zip(ids, spelled, strict=True))


def _seals_alike(mould: bytes, event_ids: Sequence[int], values: Sequence[Any], ids: Sequence[int]) -> Iterator[bytes]:
    each = zip(event_ids, ids, values, strict=True)
    return seals.sealer().seal_all(
        mould % {b"event": event_id, b"id": pk, b"value": orjson.dumps(value)} for event_id, pk, value in each
    )


def _mould(verb: Verb, *, of: models.Model, attname: str, by: Actor, at: datetime) -> bytes:
    """What is sealed of events that are alike, with places for what differs: `event`, `id` and, as JSON, `value`."""
    like = {
        "id": "?event",
        "verb": verb.value,
        "actor_kind": by.kind.value,
        "actor_id": by.id,
        "object_kind": kind_of(of),
        "object_id": "?object",
        "at": seals.plain(at),
        "state": {**image(of), "id": "?id", attname: "?value"},
    }
    places = {"?event": b"%(event)d", "?object": b'"%(id)d"', "?id": b"%(id)d", "?value": b"%(value)b"}
    return seals.mould(seals.canonical(Event, like), places)


def kind_of(row: models.Model) -> str:
    return row._meta.model_name or ""
