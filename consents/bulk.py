"""Many registrations at once, each with its events; for imports from other registers and for the demonstration."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Max, Q

from consents import actions
from consents.models import Authorization, Holding, Preference, Refusal, Registration
from consents.terms import HoldingSource
from record import bulk, ledger, stored_numbers
from record.ledger import Actor
from record.numbers import PhoneNumber
from record.terms import Verb
from telemarketers.terms import ALL_CHANNELS

CHUNK = 5_000


class Registered(NamedTuple):
    added: int  # numbers that were not registered for all marketing on all channels before
    left: set[PhoneNumber]  # numbers whose holders took them off the list: not registered


class _Standing(NamedTuple):
    """Holdings that are not registered for all marketing on all channels, by what becomes of them."""

    unregistered: list[int]
    narrow: list[int]
    left: set[int]


# Without a savepoint: under one SQLite keeps what every single row changed, which costs more than the rows.
@transaction.atomic(savepoint=False)
def register_all(numbers: Iterable[PhoneNumber], *, source: HoldingSource, by: Actor, at: datetime) -> Registered:
    """Registers up to `CHUNK` numbers for all marketing on all channels.

    Only adds: a holding is opened where a number has none, nothing is narrowed, ended or reopened, and no
    authorization ends (an import is not the citizen speaking). For the same reason whoever left the list stays off it.
    """
    _by_index_only()
    met = _meet_all(numbers)
    held = _present_holdings(met.values())
    standing = _standing(held.values())
    at = _not_before_what_was_said(standing.unregistered, at)
    for holding in Holding.objects.filter(pk__in=standing.narrow):
        # All that have not been ended, those of the last moment too: they began after `at` was asked for.
        kept = holding.authorizations.filter(ended="").values_list("pk", flat=True)
        actions.register(holding=holding, keep=set(kept), by=by, at=at)
    without = sorted(number for number in met.values() if number not in held)
    new = standing.unregistered + _open_holdings(without, source=source, by=by, at=at)
    like = Registration(purpose=None, channels=int(ALL_CHANNELS), starts=at)
    ids = bulk.insert_alike(like, "holding_id", new)
    ledger.record_alike(Verb.REGISTERED, of=like, attname="holding_id", values=new, ids=ids, by=by, at=at)
    left = {number for number, pk in met.items() if held.get(pk) in standing.left}
    return Registered(len(new) + len(standing.narrow), left)


def _by_index_only() -> None:
    """Every look-up below is by key. PostgreSQL would read whole tables that have grown since it last counted them."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")


def _meet_all(numbers: Iterable[PhoneNumber]) -> dict[PhoneNumber, int]:
    """The ids of the numbers' rows, made where the registry had not met a number yet."""
    pseudonymizer = stored_numbers.keys_for_writing()
    current = pseudonymizer.current.id
    wanted = list(dict.fromkeys(numbers))
    met: dict[PhoneNumber, int] = {}
    for key in reversed(pseudonymizer.key_ids):  # the current one last: what no key finds is added under it
        unmet = [number for number in wanted if number not in met]
        pseudonyms = pseudonymizer.pseudonym_many(unmet, key_id=key)
        by_pseudonym = dict(zip(pseudonyms, unmet, strict=True))
        if key == current:
            _add(pseudonyms, current)
        met |= {by_pseudonym[pseudonym]: pk for pseudonym, pk in _ids(pseudonyms)}
    return met


def _add(pseudonyms: Sequence[bytes], key: int) -> None:
    """Two who meet a number at once get the one row; in one order, so that neither waits for the other for ever."""
    if pseudonyms:
        each = ", ".join([f"(%s, {key})"] * len(pseudonyms))
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO record_number (pseudonym, key) VALUES {each} ON CONFLICT (pseudonym) DO NOTHING",
                sorted(pseudonyms),
            )


def _ids(pseudonyms: Sequence[bytes]) -> list[tuple[bytes, int]]:
    if not pseudonyms:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT pseudonym, id FROM record_number WHERE pseudonym IN ({', '.join(['%s'] * len(pseudonyms))})",
            pseudonyms,
        )
        return [(bytes(pseudonym), pk) for pseudonym, pk in cursor.fetchall()]


def _present_holdings(numbers: Collection[int]) -> dict[int, int]:
    """Number → its present holding, locked until the transaction ends, as each verb about a holding locks it."""
    lock = "ORDER BY id FOR UPDATE" if connection.features.has_select_for_update else ""
    return dict(
        _rows_of(
            f"SELECT number_id, id FROM consents_holding WHERE ends IS NULL AND number_id IN ({{}}) {lock}", numbers
        )
    )


# Each present holding, with the channels on which it is registered for all marketing, and whether something was taken
# off the list and not put back: a registration of the holding has ended (or one of the former holder's ended when the
# number changed hands, the new one declining it), and no later one is for the same purpose or for all.
_STANDING = """
SELECT present.id, registration.channels, EXISTS (
    SELECT 1 FROM consents_holding AS holding JOIN consents_registration AS gone ON gone.holding_id = holding.id
    WHERE holding.number_id = present.number_id AND (holding.id = present.id OR gone.ends = present.starts)
      AND gone.ends IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM consents_registration AS later WHERE later.holding_id = present.id AND later.id > gone.id
          AND (later.purpose_id IS NULL OR later.purpose_id = gone.purpose_id)))
FROM consents_holding AS present LEFT JOIN consents_registration AS registration
  ON registration.holding_id = present.id AND registration.purpose_id IS NULL AND registration.ends IS NULL
WHERE present.id IN ({})
"""


def _standing(holdings: Collection[int]) -> _Standing:
    standing = _Standing([], [], set())
    for holding, channels, has_left in _rows_of(_STANDING, holdings):
        if channels == int(ALL_CHANNELS):
            continue
        if has_left:
            standing.left.add(holding)
        elif channels is None:
            standing.unregistered.append(holding)
        else:
            standing.narrow.append(holding)
    return standing


def _rows_of(query: str, ids: Collection[int]) -> list[tuple[Any, ...]]:
    """What the query finds. The ids stand in it as they are: binding thousands costs more than finding them."""
    if not ids:
        return []
    with connection.cursor() as cursor:
        cursor.execute(query.format(",".join(map(str, ids))))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _not_before_what_was_said(holdings: Sequence[int], at: datetime) -> datetime:
    """`at`, or the newest act about any of the holdings if that is later: see `actions._lock`."""
    if not holdings:
        return at
    said: list[datetime | None] = [at, Holding.objects.filter(pk__in=holdings).aggregate(Max("starts"))["starts__max"]]
    for model in (Registration, Refusal, Preference):
        acts = model.objects.filter(holding__in=holdings)
        said += acts.aggregate(starts=Max("starts"), ends=Max("ends")).values()
    granted = Authorization.objects.filter(holding__in=holdings)
    said += granted.aggregate(starts=Max("starts"), ends=Max("ends", filter=~Q(ended=""))).values()
    return max(instant for instant in said if instant is not None)


def _open_holdings(numbers: Sequence[int], *, source: HoldingSource, by: Actor, at: datetime) -> list[int]:
    """The ids of new holdings that nobody has claimed yet."""
    like = Holding(subscriber=None, source=source, starts=at)
    ids = bulk.insert_alike(like, "number_id", numbers)
    ledger.record_alike(Verb.HOLDING_OPENED, of=like, attname="number_id", values=numbers, ids=ids, by=by, at=at)
    return ids
