"""The regulator's rules, read from a policy's document into one immutable value.

Pure: no clock, no query. `weakens` says whether new rules protect citizens less than old ones, in which case
they are published 30 days ahead (law 10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from dncregistry.errors import Refused
from record.calendar import WorkCalendar, calendar_months_later, china
from telemarketers.terms import Stance

Read = TypeVar("Read")

NOTICE_OF_WEAKENING = timedelta(days=30)

# Minutes of the local day, [from, until); 24:00 is 1440.
Block = tuple[int, int]


@dataclass(frozen=True)
class Rules:
    """What one policy version says. Days and months are counted in `zone`."""

    stances: Mapping[str, Stance]
    hours: tuple[Block, ...]
    calls_on_public_holidays: bool
    zone: ZoneInfo
    cap_days: int
    cap_window_days: int
    check_valid: timedelta
    scrub_valid: timedelta
    authorization_months: int
    authorization_months_most: int
    suspension_days: int
    bar_months: int
    numbering_data: str
    holidays: frozenset[date]
    working_weekends: frozenset[date]
    holiday_years: frozenset[int]

    @cached_property
    def calendar(self) -> WorkCalendar:
        return china(self.holidays, self.working_weekends, self.holiday_years)

    def stance(self, purpose: str) -> Stance:
        """A marketing purpose that the policy does not name needs consent."""
        return self.stances.get(purpose, Stance.CONSENT)

    def months_later(self, at: datetime, months: int) -> datetime:
        """The local midnight that begins the day `months` calendar months after the day of `at`.

        Half-open: the last day included is the one before.
        """
        day = calendar_months_later(at.astimezone(self.zone).date(), months)
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True)
class PolicyAt:
    """The policy in force at an instant, and when its successor takes over, if that is known."""

    id: int
    version: str
    rules: Rules
    ends: datetime | None = None


def read(document: Mapping[str, Any]) -> Rules:
    """The rules in a document. Raises `Refused` (policy_malformed) naming the part that cannot be read.

    Nothing is left to a default: a part that is missing could be one that somebody relied on.
    """

    def part(name: str, reader: Callable[[Any], Read]) -> Read:
        try:
            return reader(document[name])
        except (KeyError, ValueError, TypeError, AttributeError, OSError) as error:
            raise _malformed(name) from error

    def figure(name: str) -> int:
        return part(name, lambda value: _figure(value, FIGURES[name]))

    if figure("authorization_months") > figure("authorization_months_most"):
        raise _malformed("authorization_months")
    return Rules(
        stances=part("stances", _stances),
        hours=part("hours", _hours),
        calls_on_public_holidays=part("calls_on_public_holidays", _flag),
        zone=part("zone", _zone),
        cap_days=figure("cap_days"),
        cap_window_days=figure("cap_window_days"),
        check_valid=timedelta(minutes=figure("check_valid_minutes")),
        scrub_valid=timedelta(hours=figure("scrub_valid_hours")),
        authorization_months=figure("authorization_months"),
        authorization_months_most=figure("authorization_months_most"),
        suspension_days=figure("suspension_days"),
        bar_months=figure("bar_months"),
        numbering_data=part("numbering_data", _text),
        holidays=part("holidays", _days),
        working_weekends=part("working_weekends", _days),
        holiday_years=part("holiday_years", _years),
    )


def _malformed(part: str) -> Refused:
    return Refused(
        "policy_malformed", _("The policy's document is incomplete or malformed. See docs/policy.md."), field=part
    )


# The figures of a policy, each at least 1, with the most that can be meant: more is a slip of the pen.
FIGURES = {
    "cap_days": 366,
    "cap_window_days": 366,
    "check_valid_minutes": 24 * 60,
    "scrub_valid_hours": 31 * 24,
    "authorization_months": 120,
    "authorization_months_most": 120,
    "suspension_days": 366,
    "bar_months": 120,
}


def _figure(value: Any, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _stances(value: Any) -> dict[str, Stance]:
    return {_text(purpose): Stance(stance) for purpose, stance in value.items()}


def _hours(value: Any) -> tuple[Block, ...]:
    blocks = tuple((_minutes(start), _minutes(end)) for start, end in _list(value))
    if any(start >= end for start, end in blocks):
        raise ValueError
    return blocks


def _zone(value: Any) -> ZoneInfo:
    return ZoneInfo(_text(value))


def _days(value: Any) -> frozenset[date]:
    return frozenset(date.fromisoformat(day) for day in _list(value))


def _years(value: Any) -> frozenset[int]:
    return frozenset(_figure(year, date.max.year - 1) for year in _list(value))


def weakens(old: Rules, new: Rules) -> list[str]:
    """Names of the rules that protect citizens less under `new` than under `old`."""
    opened = [purpose for purpose, stance in old.stances.items() if stance == Stance.CONSENT]
    weaker = {
        "stances": any(new.stance(purpose) == Stance.OPEN for purpose in opened)
        or any(stance == Stance.OPEN and purpose not in old.stances for purpose, stance in new.stances.items()),
        "hours": not _minutes_of(new.hours) <= _minutes_of(old.hours),
        "calls_on_public_holidays": new.calls_on_public_holidays and not old.calls_on_public_holidays,
        "holidays": _loses_a_holiday(old, new),
        "working_weekends": not new.working_weekends <= old.working_weekends,
        "zone": new.zone != old.zone,  # whichever way the hours move, somebody is called earlier or later
        "cap_days": new.cap_days > old.cap_days,
        "cap_window_days": new.cap_window_days < old.cap_window_days,
        "check_valid_minutes": new.check_valid > old.check_valid,
        "scrub_valid_hours": new.scrub_valid > old.scrub_valid,
        "authorization_months": new.authorization_months > old.authorization_months,
        "authorization_months_most": new.authorization_months_most > old.authorization_months_most,
        "suspension_days": new.suspension_days < old.suspension_days,
        "bar_months": new.bar_months < old.bar_months,
    }
    return [rule for rule, is_weaker in weaker.items() if is_weaker]


def _loses_a_holiday(old: Rules, new: Rules) -> bool:
    """Whether a day without calls under `old` is one with calls under `new`, in a year that either speaks of."""
    spoken_of = {day.year for day in old.holidays | new.holidays} | old.holiday_years | new.holiday_years
    days = (date(year, 1, 1) + timedelta(days=number) for year in spoken_of for number in range(366))
    return any(old.calendar.is_public_holiday(day) and not new.calendar.is_public_holiday(day) for day in days)


def _minutes(text: str) -> int:
    """Minutes of the day of `HH:MM`; 24:00 ends the day."""
    hour, minute = text.split(":")
    minutes = int(hour) * 60 + int(minute)
    if not 0 <= int(minute) < 60 or not 0 <= minutes <= 24 * 60:
        raise ValueError
    return minutes


def _minutes_of(blocks: tuple[Block, ...]) -> frozenset[int]:
    return frozenset(minute for start, end in blocks for minute in range(start, end))
