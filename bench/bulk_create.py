"""What one would write with the ORM alone: registrations with their holdings and events, by `bulk_create`.

It asks less than an import does: not whether a number is held, registered, or was taken off the list, and it could not
go on after a cut. `bench/imports.py` runs it, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from django.db import transaction

from consents.models import Holding, Registration
from consents.terms import HoldingSource
from record import clock, keys, ledger
from record.ledger import OPERATOR
from record.models import Number
from record.numbers import PhoneNumber
from record.terms import Verb
from telemarketers.terms import ALL_CHANNELS

CHUNK = 2_000


def run(path: str) -> None:
    texts = Path(path).read_text().split()
    for start in range(0, len(texts), CHUNK):
        register([PhoneNumber.parse(text) for text in texts[start : start + CHUNK]], clock.now())


@transaction.atomic
def register(numbers: Sequence[PhoneNumber], at: datetime) -> None:
    pseudonymizer = keys.pseudonymizer()
    pseudonyms = pseudonymizer.pseudonym_many(numbers)
    rows = Number.objects.bulk_create(
        Number(pseudonym=pseudonym, key=pseudonymizer.current.id) for pseudonym in pseudonyms
    )
    holdings = Holding.objects.bulk_create(
        Holding(number=number, source=HoldingSource.IMPORT, starts=at) for number in rows
    )
    ledger.record_all(Verb.HOLDING_OPENED, of=holdings, by=OPERATOR, at=at)
    registrations = Registration.objects.bulk_create(
        Registration(holding=holding, channels=int(ALL_CHANNELS), starts=at) for holding in holdings
    )
    ledger.record_all(Verb.REGISTERED, of=registrations, by=OPERATOR, at=at)
