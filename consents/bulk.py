"""Many registrations at once, each with its events; for imports from other registers and for the demonstration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    met, added = _meet_all(numbers)
    held = _present_holdings(set(met.values()) - added)
    standing = _standing(held)
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


def _meet_all(numbers: Iterable[PhoneNumber]) -> tuple[dict[PhoneNumber, int], set[int]]:
    """The ids of the numbers' rows, made where the registry had not met a number yet; and which of them were made."""
    pseudonymizer = stored_numbers.keys_for_writing()
    current = pseudonymizer.current.id
    wanted = list(dict.fromkeys(numbers))
    met: dict[PhoneNumber, int] = {}
    added: dict[bytes, int] = {}
    for key in reversed(pseudonymizer.key_ids):  # the current one last: what no key finds is added under it
        unmet = [number for number in wanted if number not in met]
        pseudonyms = pseudonymizer.pseudonym_many(unmet, key_id=key)
        by_pseudonym = dict(zip(pseudonyms, unmet, strict=True))
        if key == current:
            added = _add(pseudonyms, current)
        ids = added | _ids([pseudonym for pseudonym in pseudonyms if pseudonym not in added])
        met |= {by_pseudonym[pseudonym]: pk for pseudonym, pk in ids.items()}
    return met, set(added.values())


def _add(pseudonyms: Sequence[bytes], key: int) -> dict[bytes, int]:
    """The ids of those that were not there yet.

    Two who meet a number at once get the one row; in one order, so that neither waits for the other for ever.
    """
    params: list[Any] = sorted(pseudonyms)
    if connection.vendor == "postgresql":
        given, params = "SELECT unnest(%s::bytea[])", [params]
    else:
        given = f"VALUES {', '.join(['(%s)'] * len(params))}"
    return _by_pseudonym(
        f"WITH given (pseudonym) AS ({given}) INSERT INTO record_number (pseudonym, key)"
        f" SELECT pseudonym, {key} FROM given WHERE true ON CONFLICT (pseudonym) DO NOTHING RETURNING pseudonym, id",
        params,
    )


def _ids(pseudonyms: Sequence[bytes]) -> dict[bytes, int]:
    places = ", ".join(["%s"] * len(pseudonyms))
    return _by_pseudonym(f"SELECT pseudonym, id FROM record_number WHERE pseudonym IN ({places})", pseudonyms)


def _by_pseudonym(query: str, params: Sequence[Any]) -> dict[bytes, int]:
    if not params:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return {bytes(pseudonym): pk for pseudonym, pk in cursor.fetchall()}


def _present_holdings(numbers: Collection[int]) -> dict[int, int]:
    """Number → its present holding, locked until the transaction ends, as each verb about a holding locks it."""
    lock = "ORDER BY id FOR UPDATE" if connection.features.has_select_for_update else ""
    return dict(
        _rows_of(
            f"SELECT number_id, id FROM consents_holding WHERE ends IS NULL AND number_id IN ({{}}) {lock}", numbers
        )
    )


class _Said(NamedTuple):
    """A registration, as far as it counts here."""

    id: int
    holding: int
    purpose: str | None
    channels: int
    ends: datetime | None  # as the database gives it: to be compared with others alone

    def is_answered_by(self, later: _Said) -> bool:
        """Whether what was taken off the list was put back."""
        return later.id > self.id and later.purpose in (None, self.purpose)


def _standing(held: Mapping[int, int]) -> _Standing:
    """How each number's present holding stands.

    Something was taken off the list and not put back if a registration of the holding has ended (or one of the former
    holder's ended when the number changed hands, the new one declining it), and no later one is for the same purpose or
    for all. Asked of one table at a time: PostgreSQL may not have counted the rows yet when it decides how to join.
    """
    standing = _Standing([], [], set())
    said = _said_of(held.values())
    declined = _declined(held)
    for holding in held.values():
        of_holding = said.get(holding, [])
        in_force = [each.channels for each in of_holding if each.purpose is None and each.ends is None]
        if in_force == [int(ALL_CHANNELS)]:
            continue
        gone = [each for each in of_holding if each.ends is not None] + declined.get(holding, [])
        if any(not any(map(each.is_answered_by, of_holding)) for each in gone):
            standing.left.add(holding)
        elif in_force:
            standing.narrow.append(holding)
        else:
            standing.unregistered.append(holding)
    return standing


def _declined(held: Mapping[int, int]) -> dict[int, list[_Said]]:
    """Of present holdings, the former holders' registrations that ended as they began."""
    former = _rows_of(
        "SELECT id, number_id FROM consents_holding WHERE ends IS NOT NULL AND number_id IN ({})", held.keys()
    )
    present = {holding: held[number] for holding, number in former}
    starts = dict(_rows_of("SELECT id, starts FROM consents_holding WHERE id IN ({})", set(present.values())))
    declined: dict[int, list[_Said]] = defaultdict(list)
    for holding, said in _said_of(present.keys()).items():
        declined[present[holding]] += [each for each in said if each.ends == starts[present[holding]]]
    return declined


def _said_of(holdings: Collection[int]) -> dict[int, list[_Said]]:
    query = "SELECT id, holding_id, purpose_id, channels, ends FROM consents_registration WHERE holding_id IN ({})"
    said: dict[int, list[_Said]] = defaultdict(list)
    for row in _rows_of(query, holdings):
        each = _Said(*row)
        said[each.holding].append(each)
    return said


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
