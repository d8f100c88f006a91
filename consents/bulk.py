"""Many registrations at once, each with its events, a few statements a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from consents.models import Holding, Registration
from consents.terms import HoldingSource
from record import keys, ledger
from record.ledger import Actor
from record.models import Number
from record.numbers import PhoneNumber
from record.terms import Verb
from telemarketers.terms import ALL_CHANNELS

CHUNK = 5_000


@transaction.atomic
def register_all(numbers: Sequence[PhoneNumber], *, source: HoldingSource, by: Actor, at: datetime) -> int:
    """Registers up to `CHUNK` numbers for all marketing on all channels. Returns how many were not so before.

    Only adds: a number's holding is opened where it has none, nothing is narrowed, ended or reopened, and no
    authorization ends (an import is not the citizen speaking).
    """
    holdings = _hold_all(numbers, source=source, by=by, at=at)
    registered = set(
        Registration.objects.in_force(at)
        .filter(holding__in=holdings, purpose=None)
        .values_list("holding_id", flat=True)
    )
    made = Registration.objects.bulk_create(
        Registration(holding=holding, purpose=None, channels=int(ALL_CHANNELS), starts=at)
        for holding in holdings
        if holding.pk not in registered
    )
    ledger.record_all(Verb.REGISTERED, of=made, by=by, at=at)
    return len(made)


def _hold_all(numbers: Sequence[PhoneNumber], *, source: HoldingSource, by: Actor, at: datetime) -> list[Holding]:
    pseudonymizer = keys.pseudonymizer()
    current = pseudonymizer.current.id
    wanted = dict.fromkeys(pseudonymizer.pseudonym_many(numbers))
    Number.objects.bulk_create(
        (Number(pseudonym=pseudonym, key=current) for pseudonym in wanted), ignore_conflicts=True
    )
    ids = Number.objects.filter(pseudonym__in=list(wanted)).order_by("pk").values_list("pk", flat=True)
    present = {holding.number_id: holding for holding in Holding.objects.in_force(at).filter(number__in=ids)}
    opened = Holding.objects.bulk_create(
        Holding(number_id=number, source=source, starts=at) for number in ids if number not in present
    )
    ledger.record_all(Verb.HOLDING_OPENED, of=opened, by=by, at=at)
    return [*present.values(), *opened]
