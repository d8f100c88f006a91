"""What a test key is answered: documented numbers, one for each reason, and no subscriber's table is read.

The numbers are 11 digits beginning with 10. No such number can be assigned: mobile numbers begin with 13 to 19,
and Beijing, area code 10, has eight-digit numbers. So a test number can never be somebody's. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils.translation import gettext_lazy as _

from consents.decision import Ruling
from consents.terms import ALLOWED, AuthorizationStatus, Reason, Verdict
from dncregistry.errors import CannotRule, Refused
from record.numbers import PhoneNumber

POLICY = "test"
TERM = timedelta(minutes=15)

# In the order of the ruling: +8610100000000 is answered invalid_number, …01 firm_not_approved, …
NUMBERS = {PhoneNumber(f"+86101000000{index:02}"): reason for index, reason in enumerate(Reason)}
# The registry cannot rule: 503, so that a client can be tested to block then.
CANNOT_RULE = PhoneNumber("+8610100000099")

DETAILS = {
    Reason.INVALID_NUMBER: "length",
    Reason.FIRM_NOT_APPROVED: "firm",
    Reason.FIRM_BARRED: "firm",
    Reason.PURPOSE_NOT_LICENSED: "licence",
}


def rule(callees: Sequence[PhoneNumber | None], at: datetime, fields: Sequence[str]) -> list[Ruling]:
    """The rulings that the numbers stand for. Raises `Refused` (`not_a_test_number`) naming the field of another."""
    return [_rule(callee, at, field) for callee, field in zip(callees, fields, strict=True)]


def _rule(callee: PhoneNumber | None, at: datetime, field: str) -> Ruling:
    if callee == CANNOT_RULE:
        raise CannotRule(_("This test number stands for a registry that cannot rule. Block the call."))
    reason = NUMBERS.get(callee) if callee else None
    if reason is None:
        raise Refused(
            "not_a_test_number",
            _("Test keys know only the documented test numbers, 10100000000 to 10100000016. See docs/api.md."),
            field=field,
        )
    verdict = Verdict.ALLOW if reason in ALLOWED else Verdict.BLOCK
    return Ruling(verdict, reason, at + TERM, reason, DETAILS.get(reason, ""))


class Granted(NamedTuple):
    """An authorization that a test number stands for."""

    pk: int
    number: PhoneNumber
    status: AuthorizationStatus
    starts: datetime
    ends: datetime


def authorizations(at: datetime) -> list[Granted]:
    """Those of the test numbers that somebody authorized, newest first."""
    stand = {
        Reason.AUTHORIZATION_REVOKED: (AuthorizationStatus.REVOKED, timedelta(days=-2)),
        Reason.AUTHORIZATION_EXPIRED: (AuthorizationStatus.EXPIRED, timedelta(days=-1)),
        Reason.AUTHORIZED: (AuthorizationStatus.IN_FORCE, timedelta(days=150)),
    }
    granted = [
        Granted(pk, number, stand[reason][0], at - timedelta(days=30), at + stand[reason][1])
        for pk, (number, reason) in enumerate(NUMBERS.items())
        if reason in stand
    ]
    return granted[::-1]
