"""Working days, make-up days, and years whose arrangement is not out yet."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record.calendar import WorkCalendar, calendar_months_later, china

CHINA = china()
UNPUBLISHED = max(CHINA.published) + 1


@pytest.mark.parametrize(
    ("day", "holiday", "working"),
    [
        pytest.param(date(2026, 2, 13), False, True, id="friday-before-spring-festival"),
        pytest.param(date(2026, 2, 14), False, True, id="saturday-worked-for-spring-festival"),
        pytest.param(date(2026, 2, 15), True, False, id="sunday-off-in-the-holiday"),
        pytest.param(date(2026, 2, 17), True, False, id="spring-festival"),
        pytest.param(date(2026, 2, 23), True, False, id="monday-off-in-lieu"),
        pytest.param(date(2026, 2, 28), False, True, id="saturday-worked-after-spring-festival"),
        pytest.param(date(2026, 3, 1), False, False, id="plain-sunday"),
        pytest.param(date(2026, 3, 2), False, True, id="plain-monday"),
        pytest.param(date(2025, 1, 26), False, True, id="sunday-worked-2025"),
        pytest.param(date(2025, 10, 6), True, False, id="mid-autumn-2025"),
    ],
)
def test_published_days(day: date, holiday: bool, working: bool) -> None:
    assert CHINA.is_public_holiday(day) is holiday
    assert CHINA.is_working_day(day) is working
    assert CHINA.is_rest_day(day) is not working


@pytest.mark.parametrize(
    ("month", "day", "holiday"),
    [
        pytest.param(1, 1, True, id="new-year"),
        pytest.param(5, 1, True, id="labour-day"),
        pytest.param(5, 2, True, id="labour-day-2"),
        pytest.param(5, 3, False, id="not-before-it-is-arranged"),
        pytest.param(10, 1, True, id="national-day"),
        pytest.param(10, 3, True, id="national-day-3"),
        pytest.param(10, 4, False, id="national-day-4"),
    ],
)
def test_fixed_dates_of_a_year_not_yet_published(month: int, day: int, holiday: bool) -> None:
    assert not CHINA.is_published(UNPUBLISHED)
    assert CHINA.is_public_holiday(date(UNPUBLISHED, month, day)) is holiday


def test_the_policys_rows_publish_a_year() -> None:
    spring, make_up = date(UNPUBLISHED, 2, 8), date(UNPUBLISHED, 2, 20)
    calendar = china([spring], [make_up], [UNPUBLISHED])
    assert calendar.is_published(UNPUBLISHED)
    assert calendar.is_public_holiday(spring)
    assert not calendar.is_public_holiday(date(UNPUBLISHED, 1, 1))  # now only what the rows say
    assert calendar.is_working_day(make_up)


def test_the_policys_rows_win() -> None:
    off, worked = date(2026, 2, 14), date(2026, 2, 15)
    calendar = china([off], [worked])
    assert calendar.is_public_holiday(off)
    assert calendar.is_working_day(worked)


@pytest.mark.parametrize(
    ("start", "n", "end"),
    [
        pytest.param(date(2026, 3, 2), 0, date(2026, 3, 2), id="none"),
        pytest.param(date(2026, 3, 2), 3, date(2026, 3, 5), id="within-a-week"),
        pytest.param(date(2026, 3, 6), 1, date(2026, 3, 9), id="over-a-weekend"),
        pytest.param(date(2026, 2, 13), 1, date(2026, 2, 14), id="to-a-make-up-saturday"),
        pytest.param(date(2026, 2, 13), 2, date(2026, 2, 24), id="over-spring-festival"),
        pytest.param(date(2026, 2, 17), 1, date(2026, 2, 24), id="from-a-holiday"),
        pytest.param(date(2026, 2, 13), 15, date(2026, 3, 12), id="a-firms-term-to-answer"),
        pytest.param(date(2026, 12, 31), 1, date(2027, 1, 4), id="into-a-year-not-yet-published"),
    ],
)
def test_add_working_days(start: date, n: int, end: date) -> None:
    assert CHINA.add_working_days(start, n) == end


def test_deadlines_are_not_counted_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        CHINA.add_working_days(date(2026, 3, 2), -1)


@given(st.dates(date(2004, 1, 1), date(2040, 12, 31)), st.integers(1, 60))
def test_there_are_n_working_days_up_to_the_nth(start: date, n: int) -> None:
    end = CHINA.add_working_days(start, n)
    days = [start + timedelta(days=d) for d in range(1, (end - start).days + 1)]
    assert sum(map(CHINA.is_working_day, days)) == n
    assert CHINA.is_working_day(end)


@given(st.dates(date(2004, 1, 1), date(2040, 12, 31)))
def test_publishing_more_holidays_never_moves_a_deadline_earlier(start: date) -> None:
    bare = WorkCalendar(frozenset(), frozenset(), frozenset({start.year}))
    fuller = WorkCalendar(frozenset({start + timedelta(days=2)}), frozenset(), frozenset({start.year}))
    assert fuller.add_working_days(start, 5) >= bare.add_working_days(start, 5)


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        pytest.param(date(2026, 1, 15), 6, date(2026, 7, 15), id="six-months"),
        pytest.param(date(2026, 8, 31), 6, date(2027, 2, 28), id="clamped"),
        pytest.param(date(2027, 8, 31), 6, date(2028, 2, 29), id="clamped-to-a-leap-day"),
        pytest.param(date(2028, 2, 29), 12, date(2029, 2, 28), id="leap-day-a-year-later"),
        pytest.param(date(2026, 12, 1), 1, date(2027, 1, 1), id="over-new-year"),
        pytest.param(date(2026, 3, 31), 24, date(2028, 3, 31), id="the-longest-authorization"),
        pytest.param(date(2026, 3, 31), -1, date(2026, 2, 28), id="backwards"),
        pytest.param(date(2026, 5, 5), 0, date(2026, 5, 5), id="none"),
    ],
)
def test_calendar_months_later(day: date, months: int, later: date) -> None:
    assert calendar_months_later(day, months) == later
