"""Which days are working days, days of rest and public holidays?

Working days follow the State Council's yearly arrangement of holidays and make-up days. A year whose
arrangement is not yet out has its weekends and the holidays that fall on fixed dates, so that a deadline can
always be named; it may only be recomputed, never earlier, once the arrangement is published. It must not read
the clock or the policy: both are arguments.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from chinese_calendar import constants as state_council

SATURDAY: Final = 5

# 全国年节及纪念日放假办法, as revised on 10 November 2024, article 2: New Year's Day, Labour Day (two days)
# and National Day (three). Spring Festival and the other lunar days are known only when they are published.
CHINA_FIXED_DATES: Final = frozenset({(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)})


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """The days of one country. `fixed_dates` (month, day) are holidays of years that are not `published`."""

    holidays: frozenset[date]
    working_weekends: frozenset[date]
    published: frozenset[int]
    fixed_dates: frozenset[tuple[int, int]] = frozenset()

    def is_published(self, year: int) -> bool:
        return year in self.published

    def is_public_holiday(self, day: date) -> bool:
        """A day off by the arrangement, days moved next to a holiday included; a plain weekend is none."""
        if day in self.holidays:
            return True
        return not self.is_published(day.year) and (day.month, day.day) in self.fixed_dates

    def is_rest_day(self, day: date) -> bool:
        """A public holiday, or a weekend day that is not worked to make up for one."""
        if self.is_public_holiday(day):
            return True
        return day.weekday() >= SATURDAY and day not in self.working_weekends

    def is_working_day(self, day: date) -> bool:
        return not self.is_rest_day(day)

    def add_working_days(self, start: date, n: int) -> date:
        """The nth working day after `start`, which itself never counts. `start` for 0."""
        if n < 0:
            raise ValueError("deadlines are not counted backwards")
        day = start
        while n:
            day += timedelta(days=1)
            n -= self.is_working_day(day)
        return day


def china(
    extra_holidays: Iterable[date] = (),
    extra_working_weekends: Iterable[date] = (),
    extra_years: Iterable[int] = (),
) -> WorkCalendar:
    """The years that chinesecalendar has, then the policy's own rows, which win where both name a day.

    `extra_years` are those for which the policy's rows are complete. The library's functions raise for a year
    that it does not have; its tables, used here, just end.
    """
    more_holidays, more_working = frozenset(extra_holidays), frozenset(extra_working_weekends)
    return WorkCalendar(
        holidays=(_PUBLISHED_HOLIDAYS - more_working) | more_holidays,
        working_weekends=(_PUBLISHED_WORKING_WEEKENDS - more_holidays) | more_working,
        published=_PUBLISHED_YEARS | frozenset(extra_years),
        fixed_dates=CHINA_FIXED_DATES,
    )


_PUBLISHED_HOLIDAYS: Final[frozenset[date]] = frozenset(state_council.holidays)
_PUBLISHED_WORKING_WEEKENDS: Final[frozenset[date]] = frozenset(state_council.workdays)
_PUBLISHED_YEARS: Final = frozenset(day.year for day in _PUBLISHED_HOLIDAYS)


def calendar_months_later(day: date, months: int) -> date:
    """The same day of a later month, or that month's last: 31 August and 6 months is 28 or 29 February."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
