"""Until when may a call made at this local time go on being made? Pure clock arithmetic, in minutes of the day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from record.calendar import WorkCalendar
from telemarketers.policy import Block, Rules

DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class OwnHours:
    """*Call me only between*, on weekdays and on rest days; None means any time. May wrap midnight."""

    weekday: Block | None = None
    rest_day: Block | None = None


def policy_end(rules: Rules, local: datetime) -> datetime | None:
    """The end of the policy's block of hours that `local` lies in, or None if calls are not permitted then."""
    if not rules.calls_on_public_holidays and rules.calendar.is_public_holiday(local.date()):
        return None
    return _end(rules.hours, local)


def own_end(own: OwnHours, calendar: WorkCalendar, local: datetime) -> datetime | None:
    """The end of the holder's own hours that `local` lies in, or None outside them.

    Hours that wrap midnight belong to the day on which they begin: on Saturday at one in the morning it is
    Friday's hours that count.
    """
    minute, ends = _minute(local), []
    start, end = _block_of(own, calendar, local - timedelta(days=1))
    if start > end and minute < end:
        ends.append(_at(local, end))
    start, end = _block_of(own, calendar, local)
    if start > end:
        if minute >= start:
            ends.append(_at(local + timedelta(days=1), end))
    elif start <= minute < end:
        ends.append(_at(local, end))
    return max(ends, default=None)


def _block_of(own: OwnHours, calendar: WorkCalendar, local: datetime) -> Block:
    block = own.rest_day if calendar.is_rest_day(local.date()) else own.weekday
    return (0, DAY) if block is None else block


def _end(blocks: Iterable[Block], local: datetime) -> datetime | None:
    minute = _minute(local)
    return next((_at(local, end) for start, end in blocks if start <= minute < end), None)


def _minute(local: datetime) -> int:
    return local.hour * 60 + local.minute


def _at(local: datetime, minute: int) -> datetime:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(minutes=minute)
