"""The ruling once more, slow and obvious: read off the list of everything that was ever done.

Written from design §3 and not from the code, so that the two can be compared: it knows plain words, instants and
loops, and must import nothing of `consents` or `telemarketers`. Each question is answered by walking through the
acts again; nothing is kept between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

SERVICE_PURPOSES = {"verification"}
WHERE_THE_NUMBERS_RING = ZoneInfo("Asia/Shanghai")
STOPS_CALLS = {"suspension", "bar", "brake"}

# The State Council's arrangement for 2026, first and last day of each holiday, and the weekend days worked for them.
HOLIDAYS_OF_2026 = [
    ("01-01", "01-03"),
    ("02-15", "02-23"),
    ("04-04", "04-06"),
    ("05-01", "05-05"),
    ("06-19", "06-21"),
    ("09-25", "09-27"),
    ("10-01", "10-07"),
]
WORKED_WEEKENDS_OF_2026 = ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"]

Hours = tuple[int, int]  # minutes of the local day


# Each with the words that it has; "callee" is the number of the person who speaks.
ACTS = {
    "publishes policy",  # starts, document
    "approves",  # firm
    "unapproves",
    "adds line",  # firm, caller
    "withdraws line",
    "confirms mandate",  # firm: who acts; client: for whom
    "ends mandate",
    "licenses",  # firm, purpose
    "unlicenses",
    "approves matter",  # matter
    "withdraws matter",
    "restricts",  # number of the sanction, step, covers_service; firm, caller or range
    "lifts",  # number of the sanction
    "registers",  # callee, purposes (none: all), channels, keep (numbers of grants)
    "leaves",  # callee
    "refuses",  # callee, firm
    "authorizes",  # number of the grant, callee, firm, purpose, matter (none: the whole), channels, months, cap
    "revokes",  # number of the grant
    "prefers",  # callee, weekday, rest_day
    "hands over",  # callee, keeps (the registration)
    "is told allow",  # firm: the principal; purpose, matter, callee
}


@dataclass(frozen=True)
class Act:
    """One thing that somebody did at an instant; `did` is one of `ACTS`, and says which other words it has."""

    at: datetime
    did: str
    number: int = 0
    firm: str = ""
    client: str = ""
    caller: str = ""
    range: str = ""
    callee: str = ""
    purpose: str = ""
    purposes: tuple[str, ...] = ()
    matter: str = ""
    channels: frozenset[str] = frozenset()
    keep: frozenset[int] = frozenset()
    keeps: bool = False
    months: int = 0
    cap: int | None = None
    weekday: Hours | None = None
    rest_day: Hours | None = None
    step: str = ""
    covers_service: bool = False
    starts: datetime | None = None
    document: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        plain = Act(self.at, self.did)
        said = {
            name: value for name, value in vars(self).items() if value != getattr(plain, name) and name != "document"
        }
        return f"{self.at:%m-%d %H:%M:%S.%f} {self.did} {said} {self.document or ''}"


@dataclass(frozen=True)
class Question:
    """A call: by `firm`, for `client` (itself if empty), from `caller` to `callee` (empty: that is no number)."""

    firm: str
    client: str
    caller: str
    callee: str
    purpose: str
    matter: str
    channel: str
    at: datetime

    @property
    def principal(self) -> str:
        return self.client or self.firm

    @property
    def is_service(self) -> bool:
        return self.purpose in SERVICE_PURPOSES


@dataclass(frozen=True)
class Told:
    verdict: str
    reason: str
    inner: str
    valid_until: datetime
    grant: int | None = None  # the authorization that an allow rests on


@dataclass(frozen=True)
class Policy:
    document: Mapping[str, Any]
    ends: datetime | None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.document["zone"])

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def is_public_holiday(self, day: date) -> bool:
        if day.isoformat() in self.document["holidays"]:
            return True
        if day.isoformat() in self.document["working_weekends"]:
            return False
        return any(first <= f"{day:%m-%d}" <= last for first, last in HOLIDAYS_OF_2026)

    def is_rest_day(self, day: date) -> bool:
        if self.is_public_holiday(day):
            return True
        worked = f"{day:%m-%d}" in WORKED_WEEKENDS_OF_2026 or day.isoformat() in self.document["working_weekends"]
        return day.isoweekday() in (6, 7) and not worked


@dataclass(frozen=True)
class Grant:
    """One authorization: what was agreed to, and what became of it, as far as the acts tell."""

    act: Act
    expires: datetime
    ended: datetime | None  # by an act

    @property
    def ends(self) -> datetime:
        return self.ended or self.expires

    def in_force(self, at: datetime) -> bool:
        return self.act.at <= at < self.ends

    def was_ended(self, at: datetime) -> bool:
        return self.ended is not None and self.ended <= at


def rule(acts: Sequence[Act], asked: Question) -> Told:
    """The rows of design §3, from the first to the last."""
    policy = policy_at(acts, asked.at)
    soon = asked.at + timedelta(minutes=policy.document["check_valid_minutes"])

    def block(reason: str, inner: str = "") -> Told:
        return Told("block", reason, inner or reason, first_of(soon, policy.ends))

    def allow(reason: str, hours_end: datetime | None = None, grant: Grant | None = None) -> Told:
        ends = [soon, policy.ends, hours_end, *ends_of_the_callers_side(acts, asked)]
        if grant is None:
            return Told("allow", reason, reason, first_of(*ends))
        return Told("allow", reason, reason, first_of(grant.ends, *ends), grant.act.number)

    # 1
    if not asked.callee:
        return block("invalid_number")
    # 2
    firms = {asked.firm, asked.principal}
    if not all(holds(acts, asked.at, "approves", "unapproves", firm=firm) for firm in firms):
        return block("firm_not_approved")
    if any(is_restricted(acts, asked, act) for act in acts if act.firm in firms):
        return block("firm_barred")
    # 3
    if asked.principal != asked.firm and not holds(
        acts, asked.at, "confirms mandate", "ends mandate", firm=asked.firm, client=asked.principal
    ):
        return block("not_mandated")
    # 4
    if not any(holds(acts, asked.at, "adds line", "withdraws line", firm=firm, caller=asked.caller) for firm in firms):
        return block("caller_unregistered")
    if any(is_restricted(acts, asked, act) for act in acts if is_on_caller(act, asked.caller)):
        return block("caller_suspended")
    # 5
    if not holds(acts, asked.at, "licenses", "unlicenses", firm=asked.principal, purpose=asked.purpose):
        return block("purpose_not_licensed")
    if asked.matter and not holds(acts, asked.at, "approves matter", "withdraws matter", matter=asked.matter):
        return block("purpose_not_licensed")
    if asked.is_service and not asked.matter:
        return block("purpose_not_licensed")
    # 6
    if asked.is_service:
        return allow("exempt")

    consent = policy.document["stances"].get(asked.purpose, "consent") == "consent"
    own, wide = last_grants(acts, asked)
    ever = [grant for grant in (own, wide) if grant is not None]
    grant = the_grant_that_answers(own, wide, asked.at)
    # 7
    if grant is None and ever and the_latest_act_was_an_end(ever, asked.at):
        return block("authorization_revoked")
    # 8, and what a refusal shows where consent is needed
    if is_refused(acts, asked):
        if not consent:
            return block("firm_refused")
        return block("authorization_revoked" if ever else "no_authorization", inner="firm_refused")
    # 9
    if grant is None and consent:
        return block("authorization_expired" if ever else "no_authorization")
    # 10
    if grant is None and is_registered(acts, asked):
        return block("registered")
    # 11
    hours_end = end_of_hours(acts, asked, policy)
    if hours_end is None:
        return block("outside_hours")
    # 12
    own_cap = grant is not None and grant.act.cap is not None
    permitted = grant.act.cap if grant and grant.act.cap is not None else policy.document["cap_days"]
    together = own_cap and grant is not None and not grant.act.matter
    if len(earlier_days(acts, asked, policy, all_matters=together)) >= permitted:
        return block("cap_reached")
    # 13
    if grant is not None:
        return allow("authorized", hours_end, grant)
    return allow("not_registered", hours_end)


# --- the caller's side -------------------------------------------------------------------------------


def policy_at(acts: Sequence[Act], at: datetime) -> Policy:
    published = sorted(
        (act for act in acts if act.did == "publishes policy" and act.starts), key=lambda act: act.starts or act.at
    )
    current = [act for act in published if act.starts and act.starts <= at][-1]
    later = [act.starts for act in published if act.starts and act.starts > at]
    assert current.document is not None
    return Policy(current.document, later[0] if later else None)


def holds(acts: Sequence[Act], at: datetime, begins: str, ends: str, **words: str) -> bool:
    """Whether what one act brings about and another undoes is so at an instant: the last of them tells."""
    so = False
    for act in acts:
        if act.at <= at and is_about(act, words) and act.did in (begins, ends):
            so = act.did == begins
    return so


def is_about(act: Act, words: Mapping[str, str]) -> bool:
    return all(getattr(act, name) == value for name, value in words.items())


def is_restricted(acts: Sequence[Act], asked: Question, act: Act) -> bool:
    """Whether `act` is a sanction that stops calls of this kind at the instant asked about."""
    return stops(act, asked) and act.at <= asked.at < end_of_sanction(acts, act)


def stops(act: Act, asked: Question) -> bool:
    return act.did == "restricts" and act.step in STOPS_CALLS and (act.covers_service or not asked.is_service)


def is_on_caller(act: Act, caller: str) -> bool:
    return act.caller == caller or (bool(act.range) and caller.startswith(act.range))


def end_of_sanction(acts: Sequence[Act], sanction: Act) -> datetime:
    policy = policy_at(acts, sanction.at)
    if sanction.step == "bar":
        end = months_later(policy, sanction.at, policy.document["bar_months"])
    elif sanction.step == "brake":
        end = sanction.at + timedelta(hours=72)
    else:
        end = sanction.at + timedelta(days=policy.document["suspension_days"])
    for act in acts:
        if act.did == "lifts" and act.number == sanction.number and act.at < end:
            end = act.at
    return end


def ends_of_the_callers_side(acts: Sequence[Act], asked: Question) -> Iterator[datetime]:
    """When something that an allow rests on came, or comes, to an end later."""
    firms = {asked.firm, asked.principal}
    for act in acts:
        if act.at > asked.at and (
            (act.did == "unapproves" and act.firm in firms)
            or (act.did == "ends mandate" and (act.firm, act.client) == (asked.firm, asked.principal))
            or (act.did == "withdraws line" and act.caller == asked.caller)
            or (act.did == "unlicenses" and (act.firm, act.purpose) == (asked.principal, asked.purpose))
            or (act.did == "withdraws matter" and act.matter == asked.matter)
            or (stops(act, asked) and (act.firm in firms or is_on_caller(act, asked.caller)))
        ):
            yield act.at


# --- what the holder said ----------------------------------------------------------------------------


def said_by_holder(acts: Sequence[Act], asked: Question) -> list[Act]:
    """What the person who holds the number at the instant asked about has done to it until then, in order.

    A registration that the holder took over with the number is theirs from then on.
    """
    said: list[Act] = []
    for act in acts:
        if act.at <= asked.at and act.callee == asked.callee:
            if act.did == "hands over":
                taken_over = since_left(said) if act.keeps else []
                said = [before for before in taken_over if before.did == "registers"]
            said.append(act)
    return said


def since_left(said: list[Act]) -> list[Act]:
    """What came after the number was last taken off the list."""
    left = [index for index, act in enumerate(said) if act.did == "leaves"]
    return said[left[-1] :] if left else said


def is_registered(acts: Sequence[Act], asked: Question) -> bool:
    return any(
        act.did == "registers"
        and (not act.purposes or asked.purpose in act.purposes)
        and asked.channel in refused_by(act)
        for act in since_left(said_by_holder(acts, asked))
    )


def refused_by(registration: Act) -> frozenset[str]:
    """A refusal of voice includes robocall."""
    if "voice" in registration.channels:
        return registration.channels | {"robocall"}
    return registration.channels


def is_refused(acts: Sequence[Act], asked: Question) -> bool:
    """The firm was refused, and has not been granted anything since."""
    refused = False
    for act in said_by_holder(acts, asked):
        if act.firm == asked.principal and act.did in ("refuses", "authorizes"):
            refused = act.did == "refuses"
    return refused


def last_grants(acts: Sequence[Act], asked: Question) -> tuple[Grant | None, Grant | None]:
    """The last authorization of the matter, and the last of the purpose as a whole, that names the channel."""
    own = wide = None
    for act in said_by_holder(acts, asked):
        if (
            act.did == "authorizes"
            and (act.firm, act.purpose) == (asked.principal, asked.purpose)
            and asked.channel in act.channels
        ):
            if not act.matter:
                wide = what_became_of(acts, act)
            elif act.matter == asked.matter:
                own = what_became_of(acts, act)
    return own, wide


def what_became_of(acts: Sequence[Act], grant: Act) -> Grant:
    policy = policy_at(acts, grant.at)
    expires = months_later(policy, grant.at, grant.months)
    place = next(index for index, act in enumerate(acts) if act is grant)
    for act in acts[place + 1 :]:
        if act.at < expires and puts_an_end_to(act, grant):
            return Grant(grant, expires, act.at)
    return Grant(grant, expires, None)


def puts_an_end_to(act: Act, grant: Act) -> bool:
    if act.did == "revokes":
        return act.number == grant.number
    if act.callee != grant.callee:
        return False
    if act.did == "hands over":
        return True
    if act.did == "refuses":
        return act.firm == grant.firm
    if act.did == "registers":
        contradicted = (not act.purposes or grant.purpose in act.purposes) and refused_by(act) & grant.channels
        return bool(contradicted) and grant.number not in act.keep
    if act.did == "authorizes":  # the same again takes its place
        return (act.firm, act.purpose, act.matter) == (grant.firm, grant.purpose, grant.matter)
    return False


def the_grant_that_answers(own: Grant | None, wide: Grant | None, at: datetime) -> Grant | None:
    """The matter's own if it is in force; else the wider one, unless the matter's own was ended since that began."""
    if own and own.in_force(at):
        return own
    if wide and wide.in_force(at):
        ended_since = own and own.was_ended(at) and own.ends >= wide.act.at
        return None if ended_since else wide
    return None


def the_latest_act_was_an_end(grants: Sequence[Grant], at: datetime) -> bool:
    """To grant is an act and to end is an act; to expire is none. Of two acts at once the end counts."""
    given = max(grant.act.at for grant in grants)
    taken = [grant.ends for grant in grants if grant.was_ended(at)]
    return bool(taken) and max(taken) >= given


def earlier_days(acts: Sequence[Act], asked: Question, policy: Policy, *, all_matters: bool) -> set[date]:
    """The days of the window, before today, on which an allow was answered for the number and the same question.

    The citizen's own cap on a permit for the whole purpose is for all its matters together.
    """
    today = policy.day(asked.at)
    window = [today - timedelta(days=back) for back in range(1, policy.document["cap_window_days"])]
    return {
        policy.day(act.at)
        for act in acts
        if act.did == "is told allow"
        and (act.firm, act.purpose) == (asked.principal, asked.purpose)
        and (all_matters or act.matter == asked.matter)
        and act.callee == asked.callee
        and policy.day(act.at) in window
    }


# --- clock and calendar ------------------------------------------------------------------------------


def end_of_hours(acts: Sequence[Act], asked: Question, policy: Policy) -> datetime | None:
    """When the hours end in which the call may be made: the policy's, or the holder's own if they end before."""
    local = asked.at.astimezone(WHERE_THE_NUMBERS_RING)
    if policy.is_public_holiday(local.date()) and not policy.document["calls_on_public_holidays"]:
        return None
    policy_ends = []
    for since, until in policy.document["hours"]:
        if on(local.date(), minutes(since)) <= local < on(local.date(), minutes(until)):
            policy_ends.append(on(local.date(), minutes(until)))
    if not policy_ends:
        return None
    preferred = [act for act in said_by_holder(acts, asked) if act.did == "prefers"]
    if not preferred:
        return max(policy_ends)
    own_ends = []
    for day in (local.date() - timedelta(days=1), local.date()):
        since, until = (preferred[-1].rest_day if policy.is_rest_day(day) else preferred[-1].weekday) or (0, 24 * 60)
        end = on(day, until) if since <= until else on(day + timedelta(days=1), until)
        if on(day, since) <= local < end:
            own_ends.append(end)
    return min(max(policy_ends), max(own_ends)) if own_ends else None


def on(day: date, minute: int) -> datetime:
    return datetime.combine(day, time(), WHERE_THE_NUMBERS_RING) + timedelta(minutes=minute)


def minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def months_later(policy: Policy, at: datetime, months: int) -> datetime:
    """The local midnight `months` calendar months on; a day that the month lacks becomes its last."""
    year, month, day = policy.day(at).timetuple()[:3]
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    while True:
        try:
            return datetime.combine(date(year, month, day), time(), policy.zone)
        except ValueError:
            day -= 1


def first_of(*instants: datetime | None) -> datetime:
    return min(instant for instant in instants if instant is not None)
