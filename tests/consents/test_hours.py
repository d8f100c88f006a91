"""The hours for calling: the policy's and the holder's own, on working days, rest days and public holidays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from consents import hours
from consents.decision import CalleeFacts, CallerFacts, Question, Ruling, decide
from consents.hours import OwnHours
from telemarketers import policy as policies
from telemarketers import shipped
from telemarketers.policy import Block, PolicyAt
from telemarketers.standing import Standing
from telemarketers.terms import Channel, PurposeKind

SHANGHAI = ZoneInfo("Asia/Shanghai")
RULES = policies.read(shipped.policy("china"))
MORNING, AFTERNOON = (540, 720), (840, 1200)  # 09:00-12:00 and 14:00-20:00
ANY_TIME, NEVER = (0, 1440), (600, 600)


def local(text: str) -> datetime:
    """As "02-13 09:00" or "02-13 09:00:59", in Shanghai, in 2026."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=SHANGHAI)


def clock(end: datetime | None) -> str | None:
    return None if end is None else f"{end:%m-%d %H:%M}"


# --- the policy's ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "end"),
    [
        pytest.param("01-07 08:59:59", None, id="a-second-too-early"),
        pytest.param("01-07 09:00", "01-07 12:00", id="from-nine-on"),
        pytest.param("01-07 11:59:59", "01-07 12:00", id="until-the-last-second"),
        pytest.param("01-07 12:00", None, id="not-at-twelve"),
        pytest.param("01-07 13:59:59", None, id="siesta"),
        pytest.param("01-07 14:00", "01-07 20:00", id="second-block"),
        pytest.param("01-07 20:00", None, id="not-at-eight"),
        pytest.param("01-07 00:00", None, id="not-at-midnight"),
        pytest.param("01-10 10:00", "01-10 12:00", id="plain-saturday-is-no-public-holiday"),
        pytest.param("02-13 10:00", "02-13 12:00", id="friday-before-spring-festival"),
        pytest.param("02-14 10:00", "02-14 12:00", id="saturday-worked-for-spring-festival"),
        pytest.param("02-15 10:00", None, id="first-day-off"),
        pytest.param("02-17 10:00", None, id="spring-festival"),
        pytest.param("02-23 19:59", None, id="last-day-off"),
        pytest.param("02-24 09:00", "02-24 12:00", id="calls-again"),
        pytest.param("02-28 10:00", "02-28 12:00", id="saturday-worked-after-spring-festival"),
        pytest.param("10-01 10:00", None, id="national-day"),
    ],
)
def test_the_policys_hours(at: str, end: str | None) -> None:
    assert clock(hours.policy_end(RULES, local(at))) == end


def test_a_policy_may_permit_calls_on_public_holidays() -> None:
    rules = replace(RULES, calls_on_public_holidays=True)
    assert clock(hours.policy_end(rules, local("02-17 10:00"))) == "02-17 12:00"
    assert hours.policy_end(rules, local("02-17 13:00")) is None


def test_a_policys_own_holidays_and_worked_weekends_count() -> None:
    rules = replace(RULES, holidays=frozenset([date(2026, 1, 8)]), working_weekends=frozenset([date(2026, 2, 15)]))
    assert hours.policy_end(rules, local("01-08 10:00")) is None
    assert clock(hours.policy_end(rules, local("02-15 10:00"))) == "02-15 12:00"


def test_hours_until_midnight_end_when_the_next_day_begins() -> None:
    rules = replace(RULES, hours=((840, 1440),))
    assert clock(hours.policy_end(rules, local("01-07 23:59:59"))) == "01-08 00:00"
    assert hours.policy_end(rules, local("01-08 00:00")) is None


# --- the holder's own --------------------------------------------------------------------------------


def own_end(weekday: Block | None, rest_day: Block | None, at: str) -> str | None:
    return clock(hours.own_end(OwnHours(weekday, rest_day), RULES.calendar, local(at)))


@pytest.mark.parametrize(
    ("at", "end"),
    [
        pytest.param("01-07 09:59:59", None, id="before"),
        pytest.param("01-07 10:00", "01-07 11:00", id="wednesday-from"),
        pytest.param("01-07 10:59:59", "01-07 11:00", id="wednesday-until"),
        pytest.param("01-07 11:00", None, id="wednesday-after"),
        pytest.param("01-07 15:30", None, id="wednesday-at-rest-days-hours"),
        pytest.param("01-10 15:30", "01-10 16:00", id="saturday-rests"),
        pytest.param("01-11 15:30", "01-11 16:00", id="sunday-rests"),
        pytest.param("01-10 10:30", None, id="saturday-at-weekdays-hours"),
        pytest.param("01-04 10:30", "01-04 11:00", id="worked-sunday-is-a-weekday"),
        pytest.param("01-04 15:30", None, id="worked-sunday-does-not-rest"),
        pytest.param("02-14 10:30", "02-14 11:00", id="worked-saturday-is-a-weekday"),
        pytest.param("02-17 15:30", "02-17 16:00", id="a-tuesday-of-spring-festival-rests"),
        pytest.param("02-17 10:30", None, id="a-tuesday-of-spring-festival-is-no-weekday"),
    ],
)
def test_weekdays_and_rest_days_follow_the_work_calendar(at: str, end: str | None) -> None:
    """Ten to eleven on weekdays, three to four in the afternoon on rest days."""
    assert own_end((600, 660), (900, 960), at) == end


@pytest.mark.parametrize(
    ("at", "end"),
    [
        pytest.param("01-09 19:59:59", None, id="friday-before"),
        pytest.param("01-09 20:00", "01-10 02:00", id="friday-evening"),
        pytest.param("01-09 23:59:59", "01-10 02:00", id="friday-before-midnight"),
        pytest.param("01-10 00:00", "01-10 02:00", id="friday-night-goes-on-on-saturday"),
        pytest.param("01-10 01:59:59", "01-10 02:00", id="friday-night-until"),
        pytest.param("01-10 02:00", None, id="friday-night-is-over"),
        pytest.param("01-10 20:30", None, id="saturday-evening-has-saturdays-hours"),
        pytest.param("01-11 01:00", None, id="saturday-night-had-none"),
        pytest.param("01-12 01:00", None, id="sunday-night-has-none-on-monday-either"),
        pytest.param("01-12 20:00", "01-13 02:00", id="monday-evening"),
        pytest.param("02-14 20:00", "02-15 02:00", id="worked-saturday-evening"),
        pytest.param("02-15 01:00", "02-15 02:00", id="worked-saturday-night-goes-on-into-the-holiday"),
        pytest.param("02-16 01:00", None, id="the-holidays-night-has-none"),
        pytest.param("02-24 01:00", None, id="the-last-holidays-night-has-none"),
        pytest.param("01-10 10:30", "01-10 11:00", id="saturday-has-hours-of-its-own"),
    ],
)
def test_hours_that_wrap_midnight_belong_to_the_day_on_which_they_begin(at: str, end: str | None) -> None:
    """Eight in the evening to two at night on weekdays, ten to eleven in the morning on rest days."""
    assert own_end((1200, 120), (600, 660), at) == end


@pytest.mark.parametrize(
    ("at", "end"),
    [
        pytest.param("01-10 08:30", "01-10 10:00", id="only-fridays-night"),
        pytest.param("01-10 09:30", "01-10 12:00", id="saturday-goes-on-where-fridays-night-ends"),
        pytest.param("01-10 10:30", "01-10 12:00", id="only-saturdays-own"),
        pytest.param("01-10 12:00", None, id="neither"),
    ],
)
def test_where_two_days_hours_overlap_the_call_may_go_on_until_both_are_over(at: str, end: str | None) -> None:
    """Eight in the evening to ten in the morning on weekdays, nine to twelve on rest days."""
    assert own_end((1200, 600), (540, 720), at) == end


@pytest.mark.parametrize(
    ("block", "at", "end"),
    [
        pytest.param(None, "01-07 00:00", "01-08 00:00", id="any-time-from-midnight"),
        pytest.param(None, "01-07 23:59:59", "01-08 00:00", id="any-time-to-midnight"),
        pytest.param(ANY_TIME, "01-07 12:00", "01-08 00:00", id="all-day-spelled-out"),
        pytest.param(NEVER, "01-07 09:59", None, id="equal-ends-not-before"),
        pytest.param(NEVER, "01-07 10:00", None, id="equal-ends-not-at"),
        pytest.param(NEVER, "01-07 10:01", None, id="equal-ends-not-after"),
        pytest.param((0, 0), "01-07 00:00", None, id="equal-ends-at-midnight"),
        pytest.param((1200, 0), "01-07 20:00", "01-08 00:00", id="until-midnight-as-nought"),
        pytest.param((1200, 0), "01-08 00:00", None, id="midnight-as-nought-is-not-included"),
        pytest.param((1200, 1440), "01-07 23:59", "01-08 00:00", id="until-midnight-as-24"),
        pytest.param((1200, 1440), "01-08 00:00", None, id="midnight-as-24-is-not-included"),
        pytest.param((1439, 1), "01-07 23:59", "01-08 00:01", id="two-minutes-about-midnight"),
        pytest.param((1439, 1), "01-08 00:00:59", "01-08 00:01", id="two-minutes-about-midnight-second"),
        pytest.param((1439, 1), "01-08 00:01", None, id="two-minutes-about-midnight-over"),
        pytest.param((0, 1), "01-07 00:00:59", "01-07 00:01", id="first-minute-of-the-day"),
    ],
)
def test_ends(block: Block | None, at: str, end: str | None) -> None:
    assert own_end(block, NEVER, at) == end


def test_in_spring_the_clock_is_put_forward_and_the_hours_with_it() -> None:
    """Where there is summer time, hours are by the clock on the wall."""
    paris = ZoneInfo("Europe/Paris")
    at = datetime(2026, 3, 28, 23, 30, tzinfo=paris)
    end = hours.own_end(OwnHours((1320, 300), (1320, 300)), RULES.calendar, at)
    assert end == datetime(2026, 3, 29, 3, 0, tzinfo=UTC)  # five o'clock, four and a half hours later


# --- both, in every zone that the number may ring in -------------------------------------------------


def ask(at: datetime, zones: tuple[str, ...], own: OwnHours | None = None) -> Ruling:
    good = Standing(approved=True)
    return decide(
        Question("retail", PurposeKind.MARKETING, None, Channel.VOICE, at, timedelta(days=1)),
        CallerFacts(good, good, True, True, frozenset(), True, True),
        CalleeFacts(own_hours=own, zones=tuple(map(ZoneInfo, zones))),
        PolicyAt(1, "china-1", RULES),
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "zones", "end"),
    [
        pytest.param("01-07 02:00", ("Asia/Shanghai",), "01-07 04:00", id="one-zone"),
        pytest.param("01-07 02:00", (), "01-07 04:00", id="unknown-zone-is-the-policys"),
        pytest.param("01-07 05:00", (), None, id="unknown-zone-has-the-policys-siesta"),
        pytest.param("01-07 01:30", ("Asia/Shanghai", "Asia/Tokyo"), "01-07 03:00", id="ends-where-noon-comes-first"),
        pytest.param("01-07 01:30", ("Asia/Tokyo", "Asia/Shanghai"), "01-07 03:00", id="in-whatever-order"),
        pytest.param("01-07 03:30", ("Asia/Shanghai", "Asia/Tokyo"), None, id="noon-in-one-of-two"),
        pytest.param("01-07 00:30", ("Asia/Tokyo",), "01-07 03:00", id="only-the-numbers-zone-counts"),
        pytest.param("01-07 00:30", ("Asia/Tokyo", "Asia/Shanghai"), None, id="too-early-in-one-of-two"),
        pytest.param("01-07 10:30", ("America/New_York", "America/Los_Angeles"), None, id="night-in-both"),
        pytest.param(
            "01-07 17:00", ("America/New_York", "America/Los_Angeles"), None, id="noon-in-new-york-nine-in-los-angeles"
        ),
        pytest.param(
            "01-07 19:30", ("America/New_York", "America/Los_Angeles"), "01-07 20:00", id="afternoon-and-morning"
        ),
        pytest.param("02-14 23:30", ("Pacific/Auckland",), None, id="the-holiday-has-begun-in-auckland"),
        pytest.param("02-23 20:30", ("Pacific/Auckland",), "02-23 23:00", id="the-holiday-is-over-in-auckland"),
    ],
)
def test_all_zones_must_permit(at: str, zones: tuple[str, ...], end: str | None) -> None:
    ruling = ask(utc(at), zones)
    assert ruling.reason == ("not_registered" if end else "outside_hours")
    assert ruling.valid_until == (utc(end) if end else utc(at) + timedelta(days=1))


def test_own_hours_are_by_the_numbers_clock_in_each_zone() -> None:
    ten_to_eleven = OwnHours(weekday=(600, 660))
    assert ask(utc("01-07 02:30"), ("Asia/Shanghai",), ten_to_eleven).valid_until == utc("01-07 03:00")
    assert not ask(utc("01-07 02:30"), ("Asia/Shanghai", "Asia/Tokyo"), ten_to_eleven).allowed
    wider = OwnHours(weekday=(600, 700))
    assert ask(utc("01-07 02:30"), ("Asia/Shanghai", "Asia/Tokyo"), wider).valid_until == utc("01-07 02:40")


def test_the_earlier_end_of_the_policys_and_the_own_hours_counts() -> None:
    assert ask(utc("01-07 02:00"), (), OwnHours(weekday=(540, 690))).valid_until == utc("01-07 03:30")
    assert ask(utc("01-07 02:00"), (), OwnHours(weekday=(540, 780))).valid_until == utc("01-07 04:00")
    assert ask(utc("01-07 02:00"), (), OwnHours(weekday=(540, 120))).valid_until == utc("01-07 04:00")
