"""What was so at an instant, for one call or ten thousand: the one seam between the tables and the ruling.

Everything is read in a single statement. Two READ COMMITTED statements could straddle a citizen's change and
rule on a mixture that never was (law 2).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers
from django.db import connection
from django.utils.translation import gettext_lazy as _
from phonenumbers import timezone

from consents.decision import NO_CHANNEL, CalleeFacts, CallerFacts, Permit
from consents.hours import OwnHours
from dncregistry import metrics
from dncregistry.errors import CannotRule, Refused
from record import clock, stored_numbers
from record.numbers import PhoneNumber
from record.pseudonyms import Pseudonymizer
from record.stored_numbers import KeysInUse
from telemarketers import policy as policies
from telemarketers.policy import PolicyAt, Rules
from telemarketers.standing import Standing, barred_kinds
from telemarketers.terms import Channel, PurposeKind


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, from which number, on whose behalf and for what: what a question names, found in the tables.

    `principal` is None if no firm has the code given; `matter` is None if the question names a purpose only.
    """

    firm: int
    principal: int | None
    caller: str  # as calling numbers are stored
    purpose: str
    kind: PurposeKind
    matter: int | None
    channel: Channel


@dataclass(frozen=True, slots=True)
class Facts:
    policy: PolicyAt
    caller: CallerFacts
    callees: dict[PhoneNumber, CalleeFacts]
    pseudonyms: Pseudonymizer  # what is recorded of the check is written under its current key


class Row(NamedTuple):
    """One fact of any sort; `tag` says which, and what the other columns hold."""

    tag: str
    callee: bytes | None
    a: int | None
    b: int | None
    c: int | None
    d: int | None
    word: str | None
    starts: Any
    ends: Any


Rows = dict[str, list[Row]]  # by tag
Numbers = dict[bytes, PhoneNumber]  # by every pseudonym that they may stand under


def gather(asking: Asking, callees: Sequence[PhoneNumber], at: datetime) -> Facts:
    """The facts for calls to `callees` at `at`.

    Raises `CannotRule` where no policy is in force, or a key that numbers stand under is not here.
    """

    def ask(pseudonymizer: Pseudonymizer) -> tuple[KeysInUse, tuple[Numbers, Rows]]:
        numbers, rows = _by_pseudonym(pseudonymizer, callees), defaultdict(list)
        for row in _read(asking, list(numbers), at):
            rows[row.tag].append(row)
        return {row.a or 0: row.callee and bytes(row.callee) for row in rows["key"]}, (numbers, rows)

    pseudonymizer, (numbers, rows) = stored_numbers.under_keys_in_use(ask)
    return Facts(
        policy=_policy(rows["policy"]),
        caller=_caller_facts(asking, rows, at),
        callees=_callee_facts(asking, numbers, callees, rows),
        pseudonyms=pseudonymizer,
    )


def _caller_facts(asking: Asking, rows: Rows, at: datetime) -> CallerFacts:
    principal_is_other = asking.principal != asking.firm
    sanctions = [row for row in rows["sanction"] if clock.aware(row.starts) <= at]
    upcoming = [
        row.starts
        for row in rows["sanction"]
        if clock.aware(row.starts) > at and asking.kind in barred_kinds([(row.word or "", bool(row.b))])
    ]
    rests_on = [*rows["approval"], *rows["mandate"], *rows["calling"], *rows["licence"], *rows["matter"]]
    ends = [clock.aware(end) for end in [*(row.ends for row in rests_on), *upcoming] if end is not None]

    def standing(firm: int | None) -> Standing:
        return Standing(
            approved=any(row.a == firm for row in rows["approval"]),
            barred=barred_kinds((row.word or "", bool(row.b)) for row in sanctions if row.a == firm),
        )

    return CallerFacts(
        firm=standing(asking.firm),
        principal=standing(asking.principal),
        mandated=bool(rows["mandate"]) or not principal_is_other,
        caller_registered=bool(rows["calling"]),
        caller_barred=barred_kinds((row.word or "", bool(row.b)) for row in sanctions if row.a is None),
        licensed=bool(rows["licence"]),
        # A service message is always about an approved matter; a marketing call may be about a purpose.
        matter_approved=bool(rows["matter"]) or (asking.matter is None and asking.kind == PurposeKind.MARKETING),
        holds_until=min(ends, default=None),
    )


def _callee_facts(
    asking: Asking,
    numbers: Numbers,
    callees: Iterable[PhoneNumber],
    rows: Rows,
) -> dict[PhoneNumber, CalleeFacts]:
    registered: dict[PhoneNumber, Channel] = defaultdict(lambda: NO_CHANNEL)
    permits: dict[PhoneNumber, list[Permit]] = defaultdict(list)
    days: dict[PhoneNumber, set[date]] = defaultdict(set)
    days_of_purpose: dict[PhoneNumber, set[date]] = defaultdict(set)
    own_hours: dict[PhoneNumber, OwnHours] = {}

    def number(row: Row) -> PhoneNumber:
        return numbers[bytes(row.callee or b"")]

    for row in rows["registration"]:
        registered[number(row)] |= Channel(row.a or 0)
    for row in rows["permit"]:
        permits[number(row)].append(_permit(row))
    for row in rows["preference"]:
        own_hours[number(row)] = OwnHours(_block(row.a, row.b), _block(row.c, row.d))
    for row in rows["allow_day"]:
        day = date.fromisoformat(row.word or "")
        days_of_purpose[number(row)].add(day)
        if row.a == (asking.matter or 0):
            days[number(row)].add(day)
    refused = {number(row) for row in rows["refusal"]}
    return {
        callee: CalleeFacts(
            registered=registered.get(callee, NO_CHANNEL),
            refused=callee in refused,
            permits=tuple(permits.get(callee, ())),
            own_hours=own_hours.get(callee),
            allow_days=frozenset(days.get(callee, ())),
            allow_days_of_purpose=frozenset(days_of_purpose.get(callee, ())),
            zones=zones_of(callee),
        )
        for callee in callees
    }


def _permit(row: Row) -> Permit:
    return Permit(
        id=row.a or 0,
        matter=row.c,
        channels=Channel(row.b or 0),
        starts=clock.aware(row.starts),
        ends=clock.aware(row.ends),
        ended=bool(row.word),
        cap_days=row.d,
    )


def _block(start: int | None, end: int | None) -> policies.Block | None:
    return None if start is None or end is None else (start, end)


def _policy(rows: list[Row]) -> PolicyAt:
    if not rows:
        raise CannotRule(_("No policy is in force. The registry's operator must publish one."))
    row = rows[0]
    version, _line, document = (row.word or "").partition("\n")
    try:
        rules = _rules(document)
    except Refused as refused:
        raise CannotRule(_("The policy in force cannot be read. The registry's operator must see to it.")) from refused
    return PolicyAt(row.a or 0, version, rules, None if row.ends is None else clock.aware(row.ends))


@lru_cache(maxsize=16)
def _rules(document: str) -> Rules:
    """Remembered by what the document says, so that nothing remembered can be out of date."""
    return policies.read(json.loads(document))


def zones_of(number: PhoneNumber) -> tuple[ZoneInfo, ...]:
    """The time zones that the number may ring in; none if unknown."""
    if number.e164.startswith("+86"):  # one zone for the whole plan; the look-up below takes 44 µs
        return CHINA
    names = timezone.time_zones_for_number(phonenumbers.parse(number.e164))
    return tuple(ZoneInfo(name) for name in names if name != timezone.UNKNOWN_TIMEZONE)


CHINA = (ZoneInfo("Asia/Shanghai"),)


def _by_pseudonym(pseudonymizer: Pseudonymizer, callees: Iterable[PhoneNumber]) -> Numbers:
    """Under every key that is here: days of allows stand under keys that no number's row stands under any more."""
    return {pseudonym: callee for callee in callees for _key, pseudonym in pseudonymizer.pseudonyms(callee)}


# --- the statement -----------------------------------------------------------------------------------

# Columns of every branch: tag, callee, a, b, c, d, word, starts, ends. The first, empty branch gives their types.
SQL = """
WITH held AS (
    SELECT holding.id, number.pseudonym
    FROM record_number AS number JOIN consents_holding AS holding ON holding.number_id = number.id
    WHERE number.pseudonym IN ({pseudonyms}) AND {holding_in_force}
)
SELECT 'none' AS tag, number.pseudonym AS callee, holding.id AS a, holding.id AS b, holding.id AS c,
       holding.id AS d, holding.source AS word, holding.starts AS starts, holding.ends AS ends
FROM record_number AS number, consents_holding AS holding WHERE 1 = 0
UNION ALL
SELECT 'policy', NULL, current.id, NULL, NULL, NULL, current.version || '\n' || CAST(current.document AS text),
       current.starts,
       (SELECT MIN(next.starts) FROM telemarketers_policy AS next WHERE next.starts > %(at)s)
FROM (SELECT id, version, document, starts FROM telemarketers_policy
      WHERE starts <= %(at)s ORDER BY starts DESC LIMIT 1) AS current
UNION ALL
SELECT 'key', proof, id, NULL, NULL, NULL, NULL, NULL, NULL
FROM record_keyinuse WHERE ends IS NULL
UNION ALL
SELECT 'approval', NULL, firm_id, NULL, NULL, NULL, NULL, starts, ends
FROM telemarketers_approval WHERE firm_id IN (%(firm)s, %(principal)s) AND {in_force}
UNION ALL
SELECT 'mandate', NULL, id, NULL, NULL, NULL, NULL, starts, ends
FROM telemarketers_mandate WHERE agent_id = %(firm)s AND client_id = %(principal)s AND {in_force}
UNION ALL
SELECT 'calling', NULL, id, NULL, NULL, NULL, NULL, starts, ends
FROM telemarketers_callingnumber WHERE number = %(caller)s AND firm_id IN (%(firm)s, %(principal)s) AND {in_force}
UNION ALL
SELECT 'licence', NULL, id, NULL, NULL, NULL, NULL, starts, ends
FROM telemarketers_licence WHERE firm_id = %(principal)s AND purpose_id = %(purpose)s AND {in_force}
UNION ALL
SELECT 'matter', NULL, id, NULL, NULL, NULL, NULL, starts, ends
FROM telemarketers_matter WHERE id = %(matter)s AND {in_force}
UNION ALL
SELECT 'sanction', NULL, firm_id, CAST(covers_service AS integer), NULL, NULL, step, starts, ends
FROM telemarketers_sanction
WHERE (firm_id IN (%(firm)s, %(principal)s) OR caller = %(caller)s OR caller_range IN ({ranges}))
  AND starts IS NOT NULL AND (ends IS NULL OR ends > %(at)s)
UNION ALL
SELECT 'registration', held.pseudonym, said.channels, NULL, NULL, NULL, NULL, said.starts, said.ends
FROM held JOIN consents_registration AS said ON said.holding_id = held.id
WHERE (said.purpose_id IS NULL OR said.purpose_id = %(purpose)s) AND {said_in_force}
UNION ALL
SELECT 'permit', held.pseudonym, said.id, said.channels, said.matter_id, said.cap_days, said.ended,
       said.starts, said.ends
FROM held JOIN consents_authorization AS said ON said.holding_id = held.id
WHERE said.firm_id = %(principal)s AND said.purpose_id = %(purpose)s
  AND (said.matter_id IS NULL OR said.matter_id = %(matter)s) AND said.starts <= %(at)s
UNION ALL
SELECT 'refusal', held.pseudonym, said.id, NULL, NULL, NULL, NULL, said.starts, said.ends
FROM held JOIN consents_refusal AS said ON said.holding_id = held.id
WHERE said.firm_id = %(principal)s AND {said_in_force}
UNION ALL
SELECT 'preference', held.pseudonym, said.weekday_from, said.weekday_until, said.rest_day_from,
       said.rest_day_until, NULL, said.starts, said.ends
FROM held JOIN consents_preference AS said ON said.holding_id = held.id
WHERE {said_in_force}
UNION ALL
SELECT 'allow_day', callee, matter_id, NULL, NULL, NULL, CAST(day AS text), NULL, NULL
FROM consents_allowday
WHERE callee IN ({pseudonyms}) AND principal_id = %(principal)s AND purpose_id = %(purpose)s
  AND noted_at <= %(at)s
"""

IN_FORCE = "{0}starts <= %(at)s AND ({0}ends IS NULL OR {0}ends > %(at)s)"


def _read(asking: Asking, pseudonyms: Sequence[bytes], at: datetime) -> list[Row]:
    ranges = {f"range{length}": asking.caller[:length] for length in range(1, len(asking.caller) + 1)}
    asked = {f"number{index}": pseudonym for index, pseudonym in enumerate(pseudonyms)}
    sql = SQL.format(
        pseudonyms=_placeholders(asked),
        ranges=_placeholders(ranges),
        in_force=IN_FORCE.format(""),
        holding_in_force=IN_FORCE.format("holding."),
        said_in_force=IN_FORCE.format("said."),
    )
    parameters: dict[str, Any] = {
        "at": connection.ops.adapt_datetimefield_value(at.astimezone(UTC)),
        "firm": asking.firm,
        "principal": asking.principal,
        "caller": asking.caller,
        "purpose": asking.purpose,
        "matter": asking.matter,
    }
    with metrics.timed("facts"), connection.cursor() as cursor:
        cursor.execute(sql, parameters | asked | ranges)
        return [Row(*columns) for columns in cursor.fetchall()]


def _placeholders(names: Iterable[str]) -> str:
    return ", ".join(f"%({name})s" for name in names) or "NULL"
