"""A firm asks before it dials, and is answered: the question read, ruled on, recorded, and signed for.

The record of a check is committed before the answer leaves (design §7). One number or a thousand go the same way;
only the record's shape differs. Nothing is cached: every answer is read from the tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from consents import facts, packing, receipts, testmode
from consents.decision import CalleeFacts, Question, Ruling, decide
from consents.facts import Asking, Facts
from consents.models import AllowDay, CheckRecord, CheckSegment, CheckSet
from consents.packing import Packed
from dncregistry import metrics
from dncregistry.errors import Refused
from record import clock, plan
from record.ids import uuid7
from record.masking import mask_numbers
from record.numbers import NumberRefused, PhoneNumber, ServiceCode
from telemarketers.actions.firms import matter_named, purpose_named
from telemarketers.models import Credential, Firm, Mandate, Matter, Purpose
from telemarketers.terms import Channel, Mode, PurposeKind

FURTHEST_AHEAD = timedelta(hours=24)
# A caller's clock may run behind ours by this much and still mean "now".
CLOCK_SLACK = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a firm asks, as the door has read it; exactly one of `purpose` and `matter` is given."""

    caller: PhoneNumber | ServiceCode
    purpose: str
    matter: str
    channel: Channel
    on_behalf_of: str = ""  # a valid credit code
    for_time: datetime | None = None
    client_ref: str = ""


class Callee(NamedTuple):
    """A number asked about: where it stood in the request, how it was spelled, and what it is or why it is none."""

    field: str
    spelled: str
    number: PhoneNumber | None
    fault: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told: one ruling for each number, in the order asked."""

    id: UUID
    asked: Asked
    firm: Firm
    mode: Mode
    purpose: str  # empty where a matter is named that is not the firm's to know
    policy: str
    checked_at: datetime
    for_time: datetime
    callees: Sequence[Callee]
    rulings: Sequence[Ruling]

    @property
    def valid_until(self) -> datetime:
        """Of several rulings, the earliest end: one answer covers all of its numbers or none."""
        return min(ruling.valid_until for ruling in self.rulings)

    def input_digest(self) -> bytes:
        """SHA-256 over the numbers as they were spelled, a line each."""
        return hashlib.sha256("".join(f"{callee.spelled}\n" for callee in self.callees).encode()).digest()

    def result_digest(self) -> bytes:
        """SHA-256 over lines of `E.164,verdict,reason`; what is no number has an empty first field."""
        lines = (
            f"{callee.number.e164 if callee.number else ''},{ruling.verdict},{ruling.reason}\n"
            for callee, ruling in zip(self.callees, self.rulings, strict=True)
        )
        return hashlib.sha256("".join(lines).encode()).digest()


def read_callee(spelled: str, field: str = "callee") -> Callee:
    try:
        return Callee(field, spelled, PhoneNumber.parse(spelled), "")
    except NumberRefused as refused:
        return Callee(field, spelled, None, refused.code)


def check(asked: Asked, callee: Callee, *, credential: Credential, at: datetime) -> Answer:
    """Answers for one number. Raises `Refused` for what is malformed, `CannotRule` where no ruling can be given."""
    return _answer(asked, [callee], credential, at, _record_one)


def check_batch(asked: Asked, callees: Sequence[Callee], *, credential: Credential, at: datetime) -> Answer:
    """Answers for up to 1,000 numbers, all at one instant."""
    return _answer(asked, callees, credential, at, _record_many)


def rule(asking: Asking, callees: Sequence[Callee], at: datetime) -> tuple[Facts, list[Ruling]]:
    """Rules on calls at `at`: the facts from the one seam, each number by the one decision."""
    known = facts.gather(asking, [callee.number for callee in callees if callee.number], at)
    term = known.policy.rules.check_valid
    question = Question(asking.purpose, asking.kind, asking.matter, asking.channel, at, term)
    nobody = CalleeFacts()
    rulings = [
        decide(question, known.caller, known.callees[callee.number], known.policy)
        if callee.number
        else decide(replace(question, callee_fault=callee.fault), known.caller, nobody, known.policy)
        for callee in callees
    ]
    return known, rulings


def resolve(asked: Asked, firm: Firm, at: datetime) -> Asking:
    """Finds the client, matter and purpose that a question names. Raises `Refused` for names that mean nothing.

    A client unknown to the registry, or one whose mandate is not in force, is ruled on, not refused; its matters
    are then not looked up, so that nobody learns which there are.
    """
    principal: Firm | None = firm
    if asked.on_behalf_of and asked.on_behalf_of != firm.credit_code:
        principal = Firm.objects.filter(credit_code=asked.on_behalf_of).first()
        if not Mandate.objects.in_force(at).filter(agent=firm, client=principal).exists():
            return _asking(asked, firm, principal, None, purpose_named(asked.purpose) if asked.purpose else None)
    if asked.purpose:
        return _asking(asked, firm, principal, None, purpose_named(asked.purpose))
    matter = matter_named(principal, asked.matter)
    return _asking(asked, firm, principal, matter, matter.purpose)


def _asking(asked: Asked, firm: Firm, principal: Firm | None, matter: Matter | None, purpose: Purpose | None) -> Asking:
    return Asking(
        firm=firm.pk,
        principal=principal.pk if principal else None,
        caller=asked.caller.text,
        purpose=purpose.code if purpose else "",
        kind=PurposeKind(purpose.kind) if purpose else PurposeKind.MARKETING,
        matter=matter.pk if matter else None,
        channel=asked.channel,
    )


def _for_time(asked: Asked, at: datetime) -> datetime:
    if asked.for_time is None or at - CLOCK_SLACK <= asked.for_time <= at:
        return at
    if asked.for_time < at:
        raise Refused("for_time_passed", _("This time has passed. Ask about now or a time to come."), field="for_time")
    if asked.for_time > at + FURTHEST_AHEAD:
        raise Refused("for_time_too_far", _("Ask at most 24 hours ahead."), field="for_time")
    return asked.for_time


def _answer(asked: Asked, callees: Sequence[Callee], credential: Credential, at: datetime, record: Recorder) -> Answer:
    for_time = _for_time(asked, at)
    with metrics.timed("names"):
        asking = resolve(asked, credential.firm, at)
    answer = Answer(
        id=uuid7(at),
        asked=asked,
        firm=credential.firm,
        mode=Mode(credential.mode),
        purpose=asking.purpose,
        policy=testmode.POLICY,
        checked_at=at,
        for_time=for_time,
        callees=callees,
        rulings=(),
    )
    if credential.mode == Mode.TEST:
        numbers = [callee.number for callee in callees]
        return replace(answer, rulings=testmode.rule(numbers, for_time, [callee.field for callee in callees]))
    with transaction.atomic(savepoint=False):
        known, rulings = rule(asking, callees, for_time)
        answer = replace(answer, rulings=rulings, policy=known.policy.version)
        with metrics.timed("record"):
            record(answer, credential, asking, known)
        with metrics.timed("allow_days"):
            _count_allow_days(answer, asking, known)
    return answer


# --- the record --------------------------------------------------------------------------------------

Recorder = Callable[[Answer, Credential, Asking, Facts], None]


def _record_one(answer: Answer, credential: Credential, asking: Asking, known: Facts) -> None:
    callee, ruling = answer.callees[0].number, answer.rulings[0]
    CheckRecord.objects.create(
        **_common(answer, credential, asking, known),
        callee=known.pseudonyms.pseudonym(callee) if callee else None,
        callee_range=plan.kind_of(callee).kind if callee else "",
        callee_area=(plan.province_of(callee) or "") if callee else "",
        verdict=ruling.verdict,
        reason=ruling.reason,
        inner_reason=ruling.inner,
        detail=ruling.detail,
        authorization_id=ruling.permit,
    )


def _record_many(answer: Answer, credential: Credential, asking: Asking, known: Facts) -> None:
    numbers = [callee.number for callee in answer.callees if callee.number]
    pseudonyms = iter(known.pseudonyms.pseudonym_many(numbers))
    entries = [
        Packed(next(pseudonyms), ruling.reason, ruling.inner)
        for callee, ruling in zip(answer.callees, answer.rulings, strict=True)
        if callee.number
    ]
    segments = packing.segments_for(len(entries))
    check_set = CheckSet.objects.create(
        **_common(answer, credential, asking, known),
        rows=len(answer.callees),
        segments=segments,
        input_digest=known.pseudonyms.encrypt(answer.input_digest()),
        result_digest=known.pseudonyms.encrypt(answer.result_digest()),
    )
    CheckSegment.objects.bulk_create(
        CheckSegment(check_set=check_set, segment=segment, packed=packed)
        for segment, packed in packing.pack(entries, segments)
    )


def _common(answer: Answer, credential: Credential, asking: Asking, known: Facts) -> dict[str, Any]:
    caller = answer.asked.caller
    # A caller that is not the firm's own may be a subscriber's number, and is kept as one.
    in_clear = isinstance(caller, ServiceCode) or known.caller.caller_registered
    return {
        "id": answer.id,
        "checked_at": answer.checked_at,
        "for_time": answer.for_time,
        "valid_until": answer.valid_until,
        "firm_id": asking.firm,
        "credential": credential,
        "principal_id": asking.principal,
        "on_behalf_of": answer.asked.on_behalf_of,
        "caller": caller.text if in_clear else "",
        "caller_pseudonym": None if in_clear else known.pseudonyms.pseudonym(PhoneNumber(caller.text)),
        "number_key": known.pseudonyms.current.id,
        "purpose_id": asking.purpose or None,
        "matter_id": asking.matter,
        "channel": int(asking.channel),
        "policy_id": known.policy.id,
        "client_ref": mask_numbers(answer.asked.client_ref),
    }


def _count_allow_days(answer: Answer, asking: Asking, known: Facts) -> None:
    """Notes the day of each marketing allow, for the cap. A day that is noted already stays as it is."""
    if asking.kind == PurposeKind.SERVICE or asking.principal is None:
        return
    allowed = {
        callee.number
        for callee, ruling in zip(answer.callees, answer.rulings, strict=True)
        if callee.number and ruling.allowed
    }
    AllowDay.objects.bulk_create(
        (
            AllowDay(
                principal_id=asking.principal,
                purpose_id=asking.purpose,
                matter_id=asking.matter or 0,
                callee=pseudonym,
                number_key=known.pseudonyms.current.id,
                day=known.policy.rules.day(answer.for_time),
                noted_at=answer.checked_at,
            )
            for pseudonym in known.pseudonyms.pseudonym_many(sorted(allowed))
        ),
        ignore_conflicts=True,
    )


# --- the receipt -------------------------------------------------------------------------------------


def receipt_of_one(answer: Answer) -> str:
    callee, ruling = answer.callees[0].number, answer.rulings[0]
    return _sign(answer, {"callee": callee and callee.e164, "verdict": ruling.verdict, "reason": ruling.reason})


def receipt_of_batch(answer: Answer) -> str:
    return _sign(
        answer,
        {
            "rows": len(answer.callees),
            "input_sha256": answer.input_digest().hex(),
            "result_sha256": answer.result_digest().hex(),
            "as_of": clock.iso(answer.checked_at),
        },
    )


def _sign(answer: Answer, told: dict[str, Any]) -> str:
    asked = answer.asked
    return receipts.sign(
        {
            "firm": answer.firm.credit_code,
            "on_behalf_of": asked.on_behalf_of or None,
            "caller": asked.caller.text,
            "purpose": answer.purpose or None,
            "matter": asked.matter or None,
            "channel": asked.channel.label,
            "for_time": clock.iso(answer.for_time),
            **told,
            "policy": answer.policy,
            "ref": asked.client_ref or None,
        },
        jti=str(answer.id),
        checked_at=answer.checked_at,
        valid_until=answer.valid_until,
        mode=answer.mode,
    )
