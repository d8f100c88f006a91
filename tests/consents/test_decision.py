"""The truth table of the ruling: every row of design §3, every sentence in it, and the order of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from consents.decision import CalleeFacts, CallerFacts, Permit, Question, Ruling, decide
from consents.hours import OwnHours
from consents.terms import Reason, Verdict
from telemarketers import policy as policies
from telemarketers import shipped
from telemarketers.policy import PolicyAt
from telemarketers.standing import Standing
from telemarketers.terms import ALL_CHANNELS, Channel, PurposeKind

# Wednesday, 7 January 2026, ten in the morning in Shanghai, where calls are permitted from nine to twelve.
NOW = datetime(2026, 1, 7, 2, 0, tzinfo=UTC)
NOON = NOW + timedelta(hours=2)
TERM = timedelta(minutes=15)
INSTANT = timedelta(microseconds=1)
LONG_AGO = NOW - timedelta(days=90)
LAST_WEEK = NOW - timedelta(days=7)
YESTERDAY = NOW - timedelta(days=1)
NEXT_MONTH = NOW + timedelta(days=30)
TODAY = date(2026, 1, 7)

MATTER, OTHER_MATTER = 7, 8
VOICE, ROBOCALL, SMS = Channel.VOICE, Channel.ROBOCALL, Channel.SMS
MARKETING, SERVICE = PurposeKind.MARKETING, PurposeKind.SERVICE
SHANGHAI, URUMQI = ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Urumqi")

CHINA = PolicyAt(1, "china-1", policies.read(shipped.policy("china")))
GOOD = Standing(approved=True)
CLEAR = CallerFacts(
    firm=GOOD,
    principal=GOOD,
    mandated=True,
    caller_registered=True,
    caller_barred=frozenset(),
    licensed=True,
    matter_approved=True,
)
SILENT = CalleeFacts(zones=(SHANGHAI,))
NEVER = OwnHours(weekday=(600, 600), rest_day=(600, 600))
CAP_FULL = frozenset(TODAY - timedelta(days=back) for back in (1, 2, 3))

CONSENT = Question("loan_finance", MARKETING, MATTER, VOICE, NOW, TERM)
CONSENT_WIDE = replace(CONSENT, matter=None)
OPEN = Question("retail", MARKETING, MATTER, VOICE, NOW, TERM)
OPEN_WIDE = replace(OPEN, matter=None)
CODES = Question("verification", SERVICE, MATTER, SMS, NOW, TERM)


def permit(
    starts: datetime = LAST_WEEK,
    ends: datetime = NEXT_MONTH,
    *,
    matter: int | None = MATTER,
    ended: bool = False,
    channels: Channel = VOICE,
    cap_days: int | None = None,
    id: int = 1,
) -> Permit:
    return Permit(id, matter, channels, starts, ends, ended, cap_days)


def wide(*arguments: Any, **more: Any) -> Permit:
    return permit(*arguments, **{"matter": None, "id": 2, **more})


def ended(at: datetime = YESTERDAY, **more: Any) -> Permit:
    return permit(ends=at, ended=True, **more)


def expired(at: datetime = YESTERDAY, **more: Any) -> Permit:
    return permit(ends=at, **more)


def said(*permits: Permit, **more: Any) -> CalleeFacts:
    return replace(SILENT, permits=permits, **more)


def short(ruling: Ruling) -> str:
    """As "block registered", and where it differs "/ firm_refused", the true reason."""
    inner = "" if ruling.inner == ruling.reason else f" / {ruling.inner}"
    return f"{ruling.verdict} {ruling.reason}{inner}"


# --- rows 1 to 6: the caller's side ------------------------------------------------------------------


def barred(*kinds: PurposeKind) -> Standing:
    return Standing(approved=True, barred=frozenset(kinds))


NOT_APPROVED = Standing(approved=False)


@pytest.mark.parametrize(
    ("caller", "question", "expected", "detail"),
    [
        pytest.param({}, OPEN, "allow not_registered", "", id="all-in-order"),
        pytest.param({"firm": NOT_APPROVED}, OPEN, "block firm_not_approved", "firm", id="firm-not-approved"),
        pytest.param(
            {"principal": NOT_APPROVED}, OPEN, "block firm_not_approved", "on_behalf_of", id="client-not-approved"
        ),
        pytest.param(
            {"firm": NOT_APPROVED, "principal": NOT_APPROVED},
            OPEN,
            "block firm_not_approved",
            "firm",
            id="of-two-not-approved-the-firm-is-named",
        ),
        pytest.param({"firm": NOT_APPROVED}, CODES, "block firm_not_approved", "firm", id="not-for-service-either"),
        pytest.param({"firm": barred(MARKETING)}, OPEN, "block firm_barred", "firm", id="firm-barred"),
        pytest.param({"principal": barred(MARKETING)}, OPEN, "block firm_barred", "on_behalf_of", id="client-barred"),
        pytest.param(
            {"firm": barred(MARKETING), "principal": barred(MARKETING)},
            OPEN,
            "block firm_barred",
            "firm",
            id="of-two-barred-the-firm-is-named",
        ),
        pytest.param(
            {"firm": barred(MARKETING), "principal": NOT_APPROVED},
            OPEN,
            "block firm_not_approved",
            "on_behalf_of",
            id="approval-before-bar-whoever-it-is",
        ),
        pytest.param({"firm": barred(MARKETING)}, CODES, "allow exempt", "", id="bar-of-marketing-spares-service"),
        pytest.param(
            {"firm": barred(MARKETING, SERVICE)}, CODES, "block firm_barred", "firm", id="bar-of-both-covers-service"
        ),
        pytest.param({"mandated": False}, OPEN, "block not_mandated", "", id="no-mandate"),
        pytest.param({"mandated": False}, CODES, "block not_mandated", "", id="no-mandate-for-service-either"),
        pytest.param({"caller_registered": False}, OPEN, "block caller_unregistered", "", id="line-not-registered"),
        pytest.param(
            {"caller_barred": frozenset([MARKETING])}, OPEN, "block caller_suspended", "", id="line-suspended"
        ),
        pytest.param(
            {"caller_barred": frozenset([MARKETING])}, CODES, "allow exempt", "", id="braked-line-still-sends-codes"
        ),
        pytest.param(
            {"caller_barred": frozenset([MARKETING, SERVICE])},
            CODES,
            "block caller_suspended",
            "",
            id="line-suspended-for-service-too",
        ),
        pytest.param({"licensed": False}, OPEN, "block purpose_not_licensed", "licence", id="no-licence"),
        pytest.param(
            {"matter_approved": False}, OPEN, "block purpose_not_licensed", "matter", id="matter-not-approved"
        ),
        pytest.param(
            {"licensed": False, "matter_approved": False},
            OPEN,
            "block purpose_not_licensed",
            "licence",
            id="licence-before-matter",
        ),
        pytest.param(
            {"matter_approved": False}, CODES, "block purpose_not_licensed", "matter", id="service-needs-its-matter"
        ),
        pytest.param({}, CODES, "allow exempt", "", id="service-is-exempt"),
    ],
)
def test_the_callers_side(caller: dict[str, Any], question: Question, expected: str, detail: str) -> None:
    ruling = decide(question, replace(CLEAR, **caller), SILENT, CHINA)
    assert (short(ruling), ruling.detail) == (expected, detail)


@pytest.mark.parametrize("question", [CONSENT, OPEN, CODES], ids=["consent", "open", "service"])
def test_what_is_no_number_is_told_why(question: Question) -> None:
    ruling = decide(replace(question, callee_fault="excel_rounded"), CLEAR, CalleeFacts(), CHINA)
    assert (short(ruling), ruling.detail) == ("block invalid_number", "excel_rounded")


# --- rows 7 to 10 and 13: what was said --------------------------------------------------------------


@pytest.mark.parametrize(
    ("callee", "consent", "open_"),
    [
        pytest.param(SILENT, "block no_authorization", "allow not_registered", id="nothing-said"),
        pytest.param(said(permit()), "allow authorized", "allow authorized", id="authorized"),
        pytest.param(
            said(permit(), registered=ALL_CHANNELS),
            "allow authorized",
            "allow authorized",
            id="authorization-beats-registration",
        ),
        pytest.param(said(registered=ALL_CHANNELS), "block no_authorization", "block registered", id="registered-only"),
        pytest.param(
            said(ended()), "block authorization_revoked", "block authorization_revoked", id="revoked-in-either-stance"
        ),
        pytest.param(
            said(ended(), registered=ALL_CHANNELS),
            "block authorization_revoked",
            "block authorization_revoked",
            id="revoked-before-registered",
        ),
        pytest.param(said(expired()), "block authorization_expired", "allow not_registered", id="expired"),
        pytest.param(
            said(expired(), registered=ALL_CHANNELS),
            "block authorization_expired",
            "block registered",
            id="expired-does-not-beat-registration",
        ),
        pytest.param(
            said(refused=True), "block no_authorization / firm_refused", "block firm_refused", id="refused-never-asked"
        ),
        pytest.param(
            said(refused=True, registered=ALL_CHANNELS),
            "block no_authorization / firm_refused",
            "block firm_refused",
            id="refused-before-registered",
        ),
        pytest.param(
            said(expired(), refused=True),
            "block authorization_revoked / firm_refused",
            "block firm_refused",
            id="refused-after-expiry",
        ),
        pytest.param(
            said(ended(), refused=True),
            "block authorization_revoked",
            "block authorization_revoked",
            id="refused-while-authorized",
        ),
        pytest.param(
            said(expired(matter=OTHER_MATTER), refused=True),
            "block no_authorization / firm_refused",
            "block firm_refused",
            id="another-matters-authorization-is-none-for-this",
        ),
        pytest.param(
            said(permit(), refused=True),
            "block authorization_revoked / firm_refused",
            "block firm_refused",
            id="refusal-blocks-whatever-stands",
        ),
        pytest.param(
            said(ended(LAST_WEEK, starts=LONG_AGO), permit(YESTERDAY, id=9)),
            "allow authorized",
            "allow authorized",
            id="granted-again-after-revoking",
        ),
        pytest.param(
            said(expired(LAST_WEEK, starts=LONG_AGO), ended(starts=LAST_WEEK, id=9)),
            "block authorization_revoked",
            "block authorization_revoked",
            id="revoked-after-an-expired-one",
        ),
        pytest.param(
            said(ended(LAST_WEEK, starts=LONG_AGO), expired(starts=LAST_WEEK, id=9)),
            "block authorization_expired",
            "allow not_registered",
            id="expired-after-a-revoked-one",
        ),
        pytest.param(
            said(permit(YESTERDAY, id=9), ended(YESTERDAY, starts=LONG_AGO)),
            "allow authorized",
            "allow authorized",
            id="replaced-by-one-that-stands",
        ),
        pytest.param(
            said(ended(NOW, starts=NOW, id=1), permit(NOW, id=2)),
            "allow authorized",
            "allow authorized",
            id="of-two-begun-at-once-the-later-written-counts",
        ),
    ],
)
def test_what_was_said(callee: CalleeFacts, consent: str, open_: str) -> None:
    """Of a matter, under either stance; the same of a purpose as a whole, where nothing narrower is in play."""
    as_wide = tuple(replace(one, matter=None) if one.matter == MATTER else one for one in callee.permits)
    for permits, consent_question, open_question in (
        (callee.permits, CONSENT, OPEN),
        (callee.permits[::-1], CONSENT, OPEN),  # the facts come in no order
        (as_wide, CONSENT_WIDE, OPEN_WIDE),
    ):
        heard = replace(callee, permits=permits)
        assert short(decide(consent_question, CLEAR, heard, CHINA)) == consent
        assert short(decide(open_question, CLEAR, heard, CHINA)) == open_


@pytest.mark.parametrize(
    ("permits", "of_the_matter", "of_the_purpose"),
    [
        pytest.param((wide(),), "authorized 2", "authorized 2", id="purpose-wide-answers-for-a-matter"),
        pytest.param((permit(),), "authorized 1", "no_authorization", id="matter-does-not-answer-for-the-purpose"),
        pytest.param((permit(), wide()), "authorized 1", "authorized 2", id="both-stand-the-matters-own-answers"),
        pytest.param(
            (ended(YESTERDAY), wide(LAST_WEEK)),
            "authorization_revoked",
            "authorized 2",
            id="revoking-a-matter-blocks-it-though-the-wider-stands",
        ),
        pytest.param(
            (ended(LAST_WEEK, starts=LONG_AGO), wide(YESTERDAY)),
            "authorized 2",
            "authorized 2",
            id="wider-granted-after-the-matter-was-revoked",
        ),
        pytest.param(
            (ended(YESTERDAY), wide(YESTERDAY)),
            "authorization_revoked",
            "authorized 2",
            id="at-once-the-revocation-counts",
        ),
        pytest.param(
            (expired(YESTERDAY), wide(LAST_WEEK)), "authorized 2", "authorized 2", id="a-matters-expiry-is-no-act"
        ),
        pytest.param(
            (expired(LAST_WEEK, starts=LONG_AGO), expired(LAST_WEEK, starts=LONG_AGO, matter=None, id=2)),
            "authorization_expired",
            "authorization_expired",
            id="both-expired",
        ),
        pytest.param(
            (permit(LAST_WEEK), ended(YESTERDAY, matter=None, id=2)),
            "authorized 1",
            "authorization_revoked",
            id="revoking-the-wider-leaves-the-matter",
        ),
        pytest.param(
            (expired(YESTERDAY, starts=LAST_WEEK + INSTANT), ended(LAST_WEEK, starts=LONG_AGO, matter=None, id=2)),
            "authorization_expired",
            "authorization_revoked",
            id="wider-revoked-before-the-expired-one-was-given",
        ),
        pytest.param(
            (expired(YESTERDAY, starts=LONG_AGO), ended(LAST_WEEK, starts=LONG_AGO, matter=None, id=2)),
            "authorization_revoked",
            "authorization_revoked",
            id="wider-revoked-after-the-expired-one-was-given",
        ),
        pytest.param(
            (ended(LAST_WEEK, starts=LONG_AGO), expired(YESTERDAY, starts=LAST_WEEK, matter=None, id=2)),
            "authorization_revoked",
            "authorization_expired",
            id="at-once-the-end-counts",
        ),
        pytest.param(
            (ended(LAST_WEEK, starts=LONG_AGO), expired(YESTERDAY, starts=LAST_WEEK + INSTANT, matter=None, id=2)),
            "authorization_expired",
            "authorization_expired",
            id="wider-given-after-the-revocation-and-expired",
        ),
        pytest.param(
            (permit(matter=OTHER_MATTER),), "no_authorization", "no_authorization", id="another-matters-own-is-not-ours"
        ),
        pytest.param(
            (ended(matter=OTHER_MATTER), wide()),
            "authorized 2",
            "authorized 2",
            id="revoking-another-matter-is-nothing",
        ),
        pytest.param(
            (permit(NOW + INSTANT), ended(YESTERDAY, starts=LONG_AGO, id=3)),
            "authorization_revoked",
            "no_authorization",
            id="what-begins-later-is-not-yet-said",
        ),
        pytest.param((ended(NOW + INSTANT),), "authorized 1", "no_authorization", id="what-ends-later-still-stands"),
        pytest.param((ended(NOW),), "authorization_revoked", "no_authorization", id="ended-at-this-instant-is-ended"),
        pytest.param((permit(NOW),), "authorized 1", "no_authorization", id="begun-at-this-instant-is-begun"),
        pytest.param((expired(NOW),), "authorization_expired", "no_authorization", id="expires-at-this-instant"),
    ],
)
def test_the_narrower_question_is_decided_by_the_latest_act_about_it(
    permits: tuple[Permit, ...], of_the_matter: str, of_the_purpose: str
) -> None:
    for in_some_order in (permits, permits[::-1]):
        for question, expected in ((CONSENT, of_the_matter), (CONSENT_WIDE, of_the_purpose)):
            ruling = decide(question, CLEAR, said(*in_some_order), CHINA)
            assert f"{ruling.reason} {ruling.permit or ''}".strip() == expected


@pytest.mark.parametrize(
    ("channel", "callee", "expected"),
    [
        pytest.param(VOICE, said(registered=VOICE), "registered", id="refusal-of-voice-covers-voice"),
        pytest.param(ROBOCALL, said(registered=VOICE), "registered", id="refusal-of-voice-includes-robocall"),
        pytest.param(SMS, said(registered=VOICE), "not_registered", id="refusal-of-voice-spares-sms"),
        pytest.param(ROBOCALL, said(registered=ROBOCALL), "registered", id="refusal-of-robocall-covers-it"),
        pytest.param(VOICE, said(registered=ROBOCALL), "not_registered", id="refusal-of-robocall-spares-voice"),
        pytest.param(SMS, said(registered=SMS), "registered", id="refusal-of-sms"),
        pytest.param(VOICE, said(registered=SMS), "not_registered", id="refusal-of-sms-spares-voice"),
        pytest.param(VOICE, said(permit(channels=VOICE)), "authorized", id="authorization-of-voice"),
        pytest.param(
            ROBOCALL,
            said(permit(channels=VOICE), registered=VOICE),
            "registered",
            id="authorization-of-voice-is-none-of-robocall",
        ),
        pytest.param(
            SMS, said(permit(channels=VOICE | ROBOCALL), registered=SMS), "registered", id="authorization-spares-no-sms"
        ),
        pytest.param(SMS, said(permit(channels=ALL_CHANNELS), registered=SMS), "authorized", id="of-all-channels"),
        pytest.param(
            SMS, said(ended(channels=VOICE)), "not_registered", id="a-revocation-says-nothing-of-other-channels"
        ),
        pytest.param(
            VOICE,
            said(ended(channels=ALL_CHANNELS), permit(YESTERDAY, channels=SMS, id=9)),
            "authorization_revoked",
            id="replaced-by-one-without-the-channel",
        ),
        pytest.param(
            VOICE,
            said(ended(channels=ALL_CHANNELS), wide(LAST_WEEK, channels=SMS)),
            "authorization_revoked",
            id="the-wider-one-must-cover-the-channel",
        ),
        pytest.param(
            VOICE, said(ended(channels=SMS), wide()), "authorized", id="the-matters-own-must-cover-the-channel-to-count"
        ),
        pytest.param(VOICE, said(refused=True), "firm_refused", id="a-firm-refusal-covers-voice"),
        pytest.param(ROBOCALL, said(refused=True), "firm_refused", id="a-firm-refusal-covers-robocall"),
        pytest.param(SMS, said(refused=True), "firm_refused", id="a-firm-refusal-covers-sms"),
    ],
)
def test_channels(channel: Channel, callee: CalleeFacts, expected: str) -> None:
    assert decide(replace(OPEN, channel=channel), CLEAR, callee, CHINA).reason == expected


@pytest.mark.parametrize("channel", list(Channel))
def test_a_hidden_refusal_looks_at_the_channel_too(channel: Channel) -> None:
    """Who never held an authorization of this channel sees that it has none."""
    ruling = decide(replace(CONSENT, channel=channel), CLEAR, said(expired(channels=VOICE), refused=True), CHINA)
    expected = Reason.AUTHORIZATION_REVOKED if channel == VOICE else Reason.NO_AUTHORIZATION
    assert (ruling.reason, ruling.inner) == (expected, Reason.FIRM_REFUSED)


def test_a_purpose_without_a_stance_needs_consent() -> None:
    unnamed = replace(OPEN, purpose="lottery")
    assert short(decide(unnamed, CLEAR, SILENT, CHINA)) == "block no_authorization"


def test_the_second_shipped_policy_is_open_for_all() -> None:
    everywhere = PolicyAt(2, "open-1", policies.read(shipped.policy("open_for_all")))
    assert short(decide(CONSENT, CLEAR, SILENT, everywhere)) == "allow not_registered"


# --- rows 11 and 12: hours and cap -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "own", "permitted"),
    [
        pytest.param(NOW, None, True, id="policys-hours-only"),
        pytest.param(NOW, OwnHours(weekday=(600, 660)), True, id="both-permit"),
        pytest.param(NOW, OwnHours(weekday=(660, 720)), False, id="own-hours-forbid"),
        pytest.param(NOON, OwnHours(weekday=(0, 1440)), False, id="own-hours-do-not-widen-the-policys"),
        pytest.param(NOON, None, False, id="policys-hours-forbid"),
        pytest.param(NOW, NEVER, False, id="never-on-weekdays"),
        pytest.param(NOW, OwnHours(rest_day=(600, 600)), True, id="rest-days-say-nothing-of-weekdays"),
    ],
)
@pytest.mark.parametrize("permits", [(), (permit(),)], ids=["not-registered", "authorized"])
def test_both_the_policys_hours_and_the_holders_own_must_permit(
    at: datetime, own: OwnHours | None, permitted: bool, permits: tuple[Permit, ...]
) -> None:
    ruling = decide(replace(OPEN, at=at), CLEAR, said(*permits, own_hours=own), CHINA)
    assert ruling.reason == Reason.OUTSIDE_HOURS or permitted
    assert ruling.allowed is permitted


def days_ago(*days: int) -> frozenset[date]:
    return frozenset(TODAY - timedelta(days=back) for back in days)


@pytest.mark.parametrize(
    ("days", "own_cap", "reached"),
    [
        pytest.param(days_ago(), None, False, id="never-called"),
        pytest.param(days_ago(1, 2), None, False, id="two-days"),
        pytest.param(days_ago(1, 2, 3), None, True, id="three-days"),
        pytest.param(days_ago(0, 1, 2), None, False, id="today-does-not-count"),
        pytest.param(days_ago(0, 1, 2, 3), None, True, id="todays-answers-do-not-open-it-again"),
        pytest.param(days_ago(1, 2, 29), None, True, id="first-day-of-the-window"),
        pytest.param(days_ago(1, 2, 30), None, False, id="day-before-the-window"),
        pytest.param(days_ago(1, 2, -1), None, True, id="tomorrow-asked-ahead-counts"),
        pytest.param(days_ago(29, 28, -1), None, False, id="no-window-holds-both-ends"),
        pytest.param(days_ago(5, 6, 7, 8, 9), None, True, id="more-than-permitted"),
        pytest.param(days_ago(1), 1, True, id="own-cap-is-narrower"),
        pytest.param(days_ago(1, 2, 3), 5, False, id="own-cap-is-wider"),
        pytest.param(days_ago(1, 2, 3, 4, 5), 5, True, id="own-cap-reached"),
        pytest.param(days_ago(), 0, True, id="own-cap-of-none"),
    ],
)
def test_the_cap_counts_earlier_days_of_the_window(days: frozenset[date], own_cap: int | None, reached: bool) -> None:
    ruling = decide(OPEN, CLEAR, said(permit(cap_days=own_cap), allow_days=days), CHINA)
    assert short(ruling) == ("block cap_reached" if reached else "allow authorized")
    if own_cap is None:
        ruling = decide(OPEN, CLEAR, said(allow_days=days), CHINA)
        assert short(ruling) == ("block cap_reached" if reached else "allow not_registered")


def test_the_caps_days_are_the_policys_not_the_numbers() -> None:
    """Half past midnight in Shanghai on the 8th is still the 7th in Ürümqi."""
    rules = replace(CHINA.rules, zone=URUMQI, hours=((0, 1440),))
    question = replace(OPEN, at=datetime(2026, 1, 7, 16, 30, tzinfo=UTC))
    callee = said(allow_days=days_ago(0, 1, 2))
    assert decide(question, CLEAR, callee, replace(CHINA, rules=rules)).allowed
    assert decide(question, CLEAR, callee, replace(CHINA, rules=replace(rules, zone=SHANGHAI))).inner == "cap_reached"


def test_an_authorization_that_does_not_answer_lends_no_cap() -> None:
    callee = said(permit(cap_days=9), wide(cap_days=1), allow_days=days_ago(1), allow_days_of_purpose=days_ago(1))
    assert decide(OPEN, CLEAR, callee, CHINA).allowed
    assert decide(OPEN_WIDE, CLEAR, callee, CHINA).reason == Reason.CAP_REACHED


def test_the_citizens_own_cap_on_a_purpose_is_for_all_its_matters_together() -> None:
    other_matter = said(wide(cap_days=1), allow_days_of_purpose=days_ago(1))
    assert decide(OPEN, CLEAR, other_matter, CHINA).reason == Reason.CAP_REACHED
    assert decide(OPEN, CLEAR, said(wide(), allow_days_of_purpose=days_ago(1, 2, 3)), CHINA).allowed


# --- the order ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    question: Question
    caller: CallerFacts = CLEAR
    callee: CalleeFacts = SILENT

    def but(self, part: str, **changes: Any) -> Call:
        return replace(self, **{part: replace(getattr(self, part), **changes)})

    @property
    def reason(self) -> str:
        return decide(self.question, self.caller, self.callee, CHINA).reason.value


Fault = tuple[str, Callable[[Call], Call]]

CALLERS_FAULTS: list[Fault] = [
    ("invalid_number", lambda call: call.but("question", callee_fault="length")),
    ("firm_not_approved", lambda call: call.but("caller", principal=Standing(False, call.caller.principal.barred))),
    ("firm_barred", lambda call: call.but("caller", principal=barred(MARKETING, SERVICE))),
    ("not_mandated", lambda call: call.but("caller", mandated=False)),
    ("caller_unregistered", lambda call: call.but("caller", caller_registered=False)),
    ("caller_suspended", lambda call: call.but("caller", caller_barred=frozenset([MARKETING, SERVICE]))),
    ("purpose_not_licensed", lambda call: call.but("caller", licensed=False)),
]


def says(*permits: Permit, **more: Any) -> Callable[[Call], Call]:
    changes = {"permits": permits} if permits else {}
    return lambda call: call.but("callee", **changes, **more)


OUTSIDE: Fault = ("outside_hours", says(own_hours=NEVER))
CAP: Fault = ("cap_reached", says(allow_days=CAP_FULL))


# Each list from the first row to the last that can apply together, then what is told when no fault is left.
ORDERS: dict[str, tuple[Question, list[Fault], str]] = {
    "open": (
        OPEN,
        [
            *CALLERS_FAULTS,
            ("authorization_revoked", says(ended())),
            ("firm_refused", says(refused=True)),
            ("registered", says(registered=ALL_CHANNELS)),
            OUTSIDE,
            CAP,
        ],
        "not_registered",
    ),
    "consent-revoked": (
        replace(CONSENT, channel=ROBOCALL),
        [
            *CALLERS_FAULTS,
            ("authorization_revoked", says(ended(channels=ROBOCALL))),
            ("no_authorization", says(registered=ALL_CHANNELS)),
        ],
        "no_authorization",
    ),
    "consent-expired": (
        CONSENT,
        [*CALLERS_FAULTS, ("authorization_expired", says(expired())), ("no_authorization", says(own_hours=NEVER))],
        "no_authorization",
    ),
    "consent-authorized": (CONSENT, [*CALLERS_FAULTS, OUTSIDE, CAP], "authorized"),
    "service": (CODES, CALLERS_FAULTS, "exempt"),
}


@pytest.mark.parametrize(
    ("order", "first"),
    [
        pytest.param(name, place, id=f"{name}-{faults[place][0]}-beats-all-that-follows")
        for name, (_question, faults, _last) in ORDERS.items()
        for place in range(len(faults))
    ],
)
def test_the_first_that_applies_is_the_answer(order: str, first: int) -> None:
    question, faults, _last = ORDERS[order]
    call = Call(question, callee=said(permit()) if order == "consent-authorized" else SILENT)
    for _reason, add in reversed(faults[first:]):
        call = add(call)
    assert call.reason == faults[first][0]


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_told_when_no_fault_is_left(order: str) -> None:
    question, _faults, last = ORDERS[order]
    assert Call(question, callee=said(permit()) if order == "consent-authorized" else SILENT).reason == last


def test_every_reason_stands_in_the_table() -> None:
    """In the order in which the ruling asks; this file has met them all."""
    met = {reason for _question, faults, last in ORDERS.values() for reason in [*(name for name, _ in faults), last]}
    assert met == set(Reason.values)


# --- until when --------------------------------------------------------------------------------------


def ending(policy: datetime | None = None, caller: datetime | None = None) -> tuple[PolicyAt, CallerFacts]:
    return replace(CHINA, ends=policy), replace(CLEAR, holds_until=caller)


SOON = NOW + timedelta(minutes=5)
LATER = NOW + timedelta(minutes=9)


@pytest.mark.parametrize(
    ("question", "callee", "policy_ends", "caller_ends", "expected"),
    [
        pytest.param(OPEN, SILENT, None, None, NOW + TERM, id="allow-the-term"),
        pytest.param(OPEN, SILENT, SOON, None, SOON, id="allow-not-past-the-policy"),
        pytest.param(OPEN, SILENT, None, SOON, SOON, id="allow-not-past-the-callers-side"),
        pytest.param(OPEN, SILENT, LATER, SOON, SOON, id="allow-the-earliest-of-all"),
        pytest.param(OPEN, SILENT, NEXT_MONTH, NEXT_MONTH, NOW + TERM, id="allow-never-past-the-term"),
        pytest.param(OPEN, said(permit(ends=SOON)), None, None, SOON, id="allow-not-past-the-authorization"),
        pytest.param(
            OPEN, said(permit(ends=SOON, ended=True)), None, None, SOON, id="allow-not-past-a-known-revocation"
        ),
        pytest.param(
            OPEN, said(permit(), wide(ends=SOON)), None, None, NOW + TERM, id="allow-past-what-it-does-not-rest-on"
        ),
        pytest.param(
            OPEN, said(own_hours=OwnHours(weekday=(540, 605))), None, None, SOON, id="allow-not-past-the-own-hours"
        ),
        pytest.param(
            replace(OPEN, at=NOON - timedelta(minutes=5)),
            SILENT,
            None,
            None,
            NOON,
            id="allow-not-past-the-policys-hours",
        ),
        pytest.param(
            OPEN,
            said(permit(ends=SOON), own_hours=OwnHours(weekday=(540, 609))),
            NOW + timedelta(minutes=7),
            NOW + timedelta(minutes=6),
            SOON,
            id="allow-the-earliest-of-four",
        ),
        pytest.param(CODES, SILENT, None, None, NOW + TERM, id="exempt-the-term"),
        pytest.param(CODES, SILENT, SOON, None, SOON, id="exempt-not-past-the-policy"),
        pytest.param(CODES, SILENT, None, SOON, SOON, id="exempt-not-past-the-callers-side"),
        pytest.param(CODES, said(own_hours=NEVER), None, None, NOW + TERM, id="exempt-has-no-hours"),
        pytest.param(CONSENT, SILENT, None, None, NOW + TERM, id="block-the-term"),
        pytest.param(CONSENT, SILENT, SOON, None, SOON, id="block-not-past-the-policy"),
        pytest.param(CONSENT, SILENT, None, SOON, NOW + TERM, id="block-rests-on-nothing-of-the-callers"),
        pytest.param(
            CONSENT, said(wide(ends=SOON), ended()), None, None, NOW + TERM, id="block-rests-on-no-authorization"
        ),
        pytest.param(replace(OPEN, at=NOON), SILENT, None, None, NOON + TERM, id="block-outside-hours-holds-the-term"),
        pytest.param(
            replace(OPEN, term=timedelta(hours=24)),
            SILENT,
            None,
            None,
            NOON,
            id="a-long-term-ends-with-the-hours",
        ),
    ],
)
def test_an_answer_holds_until_the_earliest_end_of_what_it_rests_on(
    question: Question,
    callee: CalleeFacts,
    policy_ends: datetime | None,
    caller_ends: datetime | None,
    expected: datetime,
) -> None:
    policy, caller = ending(policy_ends, caller_ends)
    assert decide(question, caller, callee, policy).valid_until == expected


# --- the laws ----------------------------------------------------------------------------------------


def told(ruling: Ruling) -> tuple[Any, ...]:
    """All that a firm may be shown of it."""
    return ruling.verdict, ruling.reason, ruling.valid_until, ruling.detail, ruling.permit


@pytest.mark.parametrize("question", [CONSENT, CONSENT_WIDE], ids=["matter", "purpose"])
@pytest.mark.parametrize("channel", list(Channel))
def test_under_consent_no_list_can_be_read_off_the_blocks(question: Question, channel: Channel) -> None:
    """Law 5: registered, unregistered, refusing, choosy, often called, never seen: the same block."""
    blocks = {
        told(
            decide(
                replace(question, channel=channel),
                CLEAR,
                CalleeFacts(registered, refused, (), own, days, zones),
                CHINA,
            )
        )
        for registered, refused, own, days, zones in product(
            [Channel(0), VOICE, ROBOCALL, SMS, ALL_CHANNELS],
            [False, True],
            [None, NEVER],
            [frozenset[date](), CAP_FULL],
            [(), (SHANGHAI,)],
        )
    }
    assert blocks == {(Verdict.BLOCK, Reason.NO_AUTHORIZATION, NOW + TERM, "", None)}


@pytest.mark.parametrize(
    "at", [NOW, NOON, datetime(2026, 2, 16, 19, 0, tzinfo=UTC)], ids=["by-day", "at-noon", "spring-festival-at-night"]
)
def test_nothing_that_a_holder_says_stops_a_service_message(at: datetime) -> None:
    """Law 6: no registration, refusal, hours or cap."""
    for registered, refused, permits, own, days in product(
        [Channel(0), ALL_CHANNELS],
        [False, True],
        [(), (ended(channels=SMS),), (expired(channels=SMS), ended(matter=None, channels=SMS, id=2))],
        [None, NEVER],
        [frozenset[date](), CAP_FULL],
    ):
        callee = CalleeFacts(registered, refused, permits, own, days, (SHANGHAI, URUMQI))
        for channel in Channel:
            ruling = decide(replace(CODES, channel=channel, at=at), CLEAR, callee, CHINA)
            assert told(ruling) == (Verdict.ALLOW, Reason.EXEMPT, at + TERM, "", None)
