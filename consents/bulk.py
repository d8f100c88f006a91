"""Many registrations at once, each with its events; for imports from other registers and for the demonstration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction

from consents import actions
from consents.models import Holding, Registration
from consents.terms import HoldingSource
from record import bulk, ledger, stored_numbers
from record.ledger import Actor
from record.numbers import PhoneNumber
from record.terms import Verb
from telemarketers.terms import ALL_CHANNELS

CHUNK = 5_000


@transaction.atomic
def register_all(numbers: Iterable[PhoneNumber], *, source: HoldingSource, by: Actor, at: datetime) -> int:
    """Registers up to `CHUNK` numbers for all marketing on all channels. Returns how many were not so before.

    Only adds: a holding is opened where a number has none, nothing is narrowed, ended or reopened, and no
    authorization ends (an import is not the citizen speaking).
    """
    holdings = _hold_all(_meet_all(numbers), source=source, by=by, at=at)
    registered = dict(
        Registration.objects.filter(holding__in=holdings, purpose=None, ends=None).values_list("holding_id", "channels")
    )
    narrow = [holding for holding, channels in registered.items() if channels != int(ALL_CHANNELS)]
    for holding in Holding.objects.filter(pk__in=narrow):
        kept = holding.authorizations.in_force(at).values_list("pk", flat=True)
        actions.register(holding=holding, keep=set(kept), by=by, at=at)
    new = [holding for holding in holdings if holding not in registered]
    like = Registration(purpose=None, channels=int(ALL_CHANNELS), starts=at)
    ids = bulk.insert_alike(like, "holding_id", new)
    ledger.record_alike(Verb.REGISTERED, of=like, attname="holding_id", values=new, ids=ids, by=by, at=at)
    return len(new) + len(narrow)


def _meet_all(numbers: Iterable[PhoneNumber]) -> list[int]:
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
    return sorted(met.values())


def _add(pseudonyms: Sequence[bytes], key: int) -> None:
    """Two who meet a number at once get the one row."""
    if pseudonyms:
        each = ", ".join([f"(%s, {key})"] * len(pseudonyms))
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO record_number (pseudonym, key) VALUES {each} ON CONFLICT (pseudonym) DO NOTHING",
                pseudonyms,
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


def _hold_all(numbers: Sequence[int], *, source: HoldingSource, by: Actor, at: datetime) -> list[int]:
    """The ids of the numbers' present holdings, opened where there was none."""
    held = dict(Holding.objects.filter(number__in=numbers, ends=None).values_list("number_id", "pk"))
    without = [number for number in numbers if number not in held]
    like = Holding(subscriber=None, source=source, starts=at)
    ids = bulk.insert_alike(like, "number_id", without)
    ledger.record_alike(Verb.HOLDING_OPENED, of=like, attname="number_id", values=without, ids=ids, by=by, at=at)
    return [*held.values(), *ids]
