"""What was a firm told about a number? Found again in the record of checks, for as long as that lasts.

The reason told, never the true one beside it: who looks a receipt up learns what was answered, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q

from consents import packing
from consents.models import CheckRecord, CheckSegment, CheckSet
from consents.terms import ALLOWED, Reason, Verdict
from record import stored_numbers
from record.numbers import PhoneNumber
from telemarketers.models import Firm


@dataclass(frozen=True, slots=True)
class Told:
    record: CheckRecord | CheckSet
    verdict: Verdict
    reason: Reason
    caller: str  # as calling numbers are written


def find(jti: UUID, number: PhoneNumber, firm: Firm) -> Told | None:
    """What the check or batch of that id said about the number, for the firm that asked or that it was asked for."""
    pseudonyms = [pseudonym for _key, pseudonym in stored_numbers.pseudonymizer().pseudonyms(number)]
    party = Q(firm=firm) | Q(principal=firm)
    single = CheckRecord.objects.filter(party, pk=jti).select_related("matter", "policy").first()
    if single is not None:
        if single.callee is None or bytes(single.callee) not in pseudonyms:
            return None
        return _told(single, Reason(single.reason))
    many = CheckSet.objects.filter(party, pk=jti).select_related("matter", "policy").first()
    if many is None:
        return None
    for pseudonym in pseudonyms:
        segment = packing.segment_of(pseudonym, many.segments)
        for packed in CheckSegment.objects.filter(check_set=many, segment=segment):
            for entry in packing.find(bytes(packed.packed), pseudonym):  # asked twice, it was told the same twice
                return _told(many, entry.reason)
    return None


def _told(record: CheckRecord | CheckSet, reason: Reason) -> Told:
    caller = record.caller
    if record.caller_pseudonym is not None:
        caller = stored_numbers.pseudonymizer().reveal(record.number_key, bytes(record.caller_pseudonym)).e164
    return Told(record, Verdict.ALLOW if reason in ALLOWED else Verdict.BLOCK, reason, caller)
