"""May this call be made? The one ruling, in the order of design §3: the first that applies is the answer.

Pure: it takes the question, the facts as they stood at the instant asked about, and the policy then in force.
No clock, no query, no setting. Checks, batches, scrubs and the settling of complaints all rule here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from consents import hours
from consents.terms import REFUSED_BY, Reason, Verdict
from telemarketers.policy import PolicyAt
from telemarketers.standing import Standing
from telemarketers.terms import Channel, PurposeKind, Stance

NO_CHANNEL = Channel(0)


@dataclass(frozen=True, slots=True)
class Question:
    """One call asked about, `at` the instant it is to be ruled on."""

    purpose: str
    kind: PurposeKind
    matter: int | None  # without one, the question is about the purpose as a whole
    channel: Channel
    at: datetime
    term: timedelta  # how long an answer to this kind of question holds at most
    callee_fault: str = ""  # why the callee is no number, if it is none


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """Who is calling, and on what terms; the same for every number asked about at once."""

    firm: Standing
    principal: Standing
    mandated: bool
    caller_registered: bool
    caller_barred: frozenset[PurposeKind]
    licensed: bool
    matter_approved: bool
    holds_until: datetime | None = None  # the earliest known end of what the above rests on


@dataclass(frozen=True, slots=True)
class Permit:
    """An authorization of the principal for the purpose, for one matter or (None) for all of it."""

    id: int
    matter: int | None
    channels: Channel
    starts: datetime
    ends: datetime
    ended: bool  # before its time: revoked, refused, replaced. Otherwise `ends` is its expiry
    cap_days: int | None = None

    def in_force(self, at: datetime) -> bool:
        return self.starts <= at < self.ends

    def ended_by_act(self, at: datetime) -> bool:
        return self.ended and self.ends <= at

    def last_act(self, at: datetime) -> tuple[datetime, bool]:
        """When somebody last did something about it, and whether that was to end it. Expiry is no act."""
        return (self.ends, True) if self.ended_by_act(at) else (self.starts, False)


@dataclass(frozen=True, slots=True)
class CalleeFacts:
    """What the holder of the number has said that bears on the question."""

    registered: Channel = NO_CHANNEL  # channels that a registration in force covers, for this purpose
    refused: bool = False
    permits: tuple[Permit, ...] = ()
    own_hours: hours.OwnHours | None = None
    # Days, in the policy's zone, for which an allow was answered to the same question: its matter, or its purpose.
    allow_days: frozenset[date] = frozenset()
    zones: tuple[ZoneInfo, ...] = ()  # the number's; none if unknown
    allow_days_of_purpose: frozenset[date] = frozenset()  # the same for any matter of the purpose


@dataclass(frozen=True, slots=True)
class Ruling:
    """The answer. `inner` is the true reason where `reason` must not show it (law 5)."""

    verdict: Verdict
    reason: Reason
    valid_until: datetime
    inner: Reason
    detail: str = ""
    permit: int | None = None  # the authorization that an allow rests on

    @property
    def allowed(self) -> bool:
        return self.verdict == Verdict.ALLOW


def decide(question: Question, caller: CallerFacts, callee: CalleeFacts, policy: PolicyAt) -> Ruling:
    """Rules on one call. `callee` is what its holder said; for what is no number, nothing."""
    at, kind = question.at, question.kind
    consent = policy.rules.stance(question.purpose) == Stance.CONSENT

    def block(reason: Reason, detail: str = "", inner: Reason | None = None) -> Ruling:
        until = _earliest(at + question.term, policy.ends)
        return Ruling(Verdict.BLOCK, reason, until, inner or reason, detail)

    def allow(reason: Reason, *ends: datetime | None, permit: int | None = None) -> Ruling:
        until = _earliest(at + question.term, policy.ends, caller.holds_until, *ends)
        return Ruling(Verdict.ALLOW, reason, until, reason, permit=permit)

    if question.callee_fault:
        return block(Reason.INVALID_NUMBER, question.callee_fault)
    if not caller.firm.approved or not caller.principal.approved:
        return block(Reason.FIRM_NOT_APPROVED, "firm" if not caller.firm.approved else "on_behalf_of")
    if kind in caller.firm.barred or kind in caller.principal.barred:
        return block(Reason.FIRM_BARRED, "firm" if kind in caller.firm.barred else "on_behalf_of")
    if not caller.mandated:
        return block(Reason.NOT_MANDATED)
    if not caller.caller_registered:
        return block(Reason.CALLER_UNREGISTERED)
    if kind in caller.caller_barred:
        return block(Reason.CALLER_SUSPENDED)
    if not caller.licensed:
        return block(Reason.PURPOSE_NOT_LICENSED, "licence")
    if not caller.matter_approved:
        return block(Reason.PURPOSE_NOT_LICENSED, "matter")
    if kind == PurposeKind.SERVICE:
        return allow(Reason.EXEMPT)

    own, wide = _last_covering(question, callee.permits)
    permit = _in_force(own, wide, at)
    covering = [candidate for candidate in (own, wide) if candidate is not None]
    if permit is None and _ended_by_act(covering, at):
        return block(Reason.AUTHORIZATION_REVOKED)
    if callee.refused:
        if not consent:
            return block(Reason.FIRM_REFUSED)
        shown = Reason.AUTHORIZATION_REVOKED if covering else Reason.NO_AUTHORIZATION
        return block(shown, inner=Reason.FIRM_REFUSED)
    if permit is None and consent:
        return block(Reason.AUTHORIZATION_EXPIRED if covering else Reason.NO_AUTHORIZATION)
    if permit is None and callee.registered & REFUSED_BY[question.channel]:
        return block(Reason.REGISTERED)
    hours_end = _hours_end(at, callee, policy)
    if hours_end is None:
        return block(Reason.OUTSIDE_HOURS)
    if _cap_is_reached(at, permit, callee, policy):
        return block(Reason.CAP_REACHED)
    if permit is not None:
        return allow(Reason.AUTHORIZED, hours_end, permit.ends, permit=permit.id)
    return allow(Reason.NOT_REGISTERED, hours_end)


def _last_covering(question: Question, permits: Iterable[Permit]) -> tuple[Permit | None, Permit | None]:
    """The latest permit for the question's own matter, and the latest for its whole purpose, on its channel.

    Of each, permits never overlap, so the latest begun is also the one acted on last.
    """
    own = wide = None
    for permit in sorted(permits, key=lambda permit: (permit.starts, permit.id)):
        if permit.starts <= question.at and question.channel in permit.channels:
            if permit.matter is None:
                wide = permit
            elif permit.matter == question.matter:
                own = permit
    return own, wide


def _in_force(own: Permit | None, wide: Permit | None, at: datetime) -> Permit | None:
    """The permit that answers for the question.

    A purpose-wide one answers for a matter too, unless the latest act about that matter was to end its own:
    revoking a matter blocks it though the wider permit stands.
    """
    if own is not None and own.in_force(at):
        return own
    if wide is None or not wide.in_force(at):
        return None
    if own is not None and own.ended_by_act(at) and own.ends >= wide.starts:
        return None
    return wide


def _ended_by_act(covering: Iterable[Permit], at: datetime) -> bool:
    """Whether the latest act about the question was to end a permission for it; of two at once, the end counts."""
    return max((permit.last_act(at) for permit in covering), default=(at, False))[1]


def _hours_end(at: datetime, callee: CalleeFacts, policy: PolicyAt) -> datetime | None:
    """When the hours that `at` lies in end: the policy's and the holder's own, in every zone of the number."""
    rules = policy.rules
    ends: list[datetime | None] = []
    for zone in callee.zones or (rules.zone,):
        local = at.astimezone(zone)
        ends.append(hours.policy_end(rules, local))
        if callee.own_hours is not None:
            ends.append(hours.own_end(callee.own_hours, rules.calendar, local))
    return None if None in ends else _earliest(*ends)


def _cap_is_reached(at: datetime, permit: Permit | None, callee: CalleeFacts, policy: PolicyAt) -> bool:
    """Whether, with today, the number would be cleared on more days of some window than are permitted.

    Today's own answers do not count against today: asking again for the same call must not turn it away. Days ahead
    count like days gone by, or asking ahead would open a way around. The citizen's own cap on a permit for a whole
    purpose is for all its matters together.
    """
    today, days, cap = policy.rules.day(at), callee.allow_days, policy.rules.cap_days
    if permit is not None and permit.cap_days is not None:
        cap = permit.cap_days
        days = callee.allow_days_of_purpose if permit.matter is None else days
    others = sorted(day for day in days if day != today)
    length = timedelta(days=policy.rules.cap_window_days)
    begins = [today - length + timedelta(days=1), today, *(day for day in others if today - length < day <= today)]
    return any(sum(first <= day < first + length for day in others) >= cap for first in begins)


def _earliest(*instants: datetime | None) -> datetime:
    return min(instant for instant in instants if instant is not None)
