"""A policy's document is read whole or not at all, and whatever protects less is noticed. No database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dncregistry.errors import Refused
from telemarketers import policy, shipped
from telemarketers.policy import Rules, read, weakens
from telemarketers.terms import Stance

CHINA = shipped.policy("china")


def document(**changes: Any) -> dict[str, Any]:
    return {**CHINA, **changes}


def stances(**changes: str) -> dict[str, str]:
    return {**CHINA["stances"], **changes}


# --- reading -----------------------------------------------------------------------------------------


def test_the_chinese_policy_is_read() -> None:
    rules = read(CHINA)
    assert rules.stance("loan_finance") == Stance.CONSENT
    assert rules.stance("retail") == Stance.OPEN
    assert rules.hours == ((540, 720), (840, 1200))
    assert not rules.calls_on_public_holidays
    assert rules.zone == ZoneInfo("Asia/Shanghai")
    assert (rules.cap_days, rules.cap_window_days) == (3, 30)
    assert (rules.check_valid, rules.scrub_valid) == (timedelta(minutes=15), timedelta(hours=24))
    assert (rules.authorization_months, rules.authorization_months_most) == (6, 24)
    assert (rules.suspension_days, rules.bar_months) == (15, 12)


def test_the_open_policy_opens_every_purpose_that_may_be_sold() -> None:
    rules = read(shipped.policy("open_for_all"))
    marketing = {purpose["code"] for purpose in shipped.purposes() if purpose["kind"] == "marketing"}
    assert set(rules.stances) == marketing
    assert set(rules.stances.values()) == {Stance.OPEN}


def test_a_purpose_without_a_stance_needs_consent() -> None:
    assert read(document(stances={})).stance("retail") == Stance.CONSENT


def test_a_day_may_end_at_midnight() -> None:
    assert read(document(hours=[["09:00", "24:00"]])).hours == ((540, 1440),)


MALFORMED: dict[str, tuple[str, Any]] = {
    "stances-a-list": ("stances", []),
    "stances-none": ("stances", None),
    "stance-unknown": ("stances", {"retail": "maybe"}),
    "stance-no-word": ("stances", {"retail": {}}),
    "hours-backwards": ("hours", [["12:00", "09:00"]]),
    "hours-empty-block": ("hours", [["09:00", "09:00"]]),
    "hours-after-midnight": ("hours", [["09:00", "24:01"]]),
    "hours-negative": ("hours", [["-1:00", "09:00"]]),
    "hours-no-pair": ("hours", [["09:00"]]),
    "hours-no-minutes": ("hours", [["9", "12"]]),
    "hours-numbers": ("hours", [[9, 12]]),
    "hours-sixty-minutes": ("hours", [["09:60", "12:00"]]),
    "zone-unknown": ("zone", "Mars/Olympus"),
    "zone-a-path": ("zone", "../../etc/passwd"),
    "zone-a-folder": ("zone", "Asia"),
    "zone-empty": ("zone", ""),
    "zone-a-number": ("zone", 8),
    "holidays-no-dates": ("holidays", ["tomorrow"]),
    "holidays-a-text": ("holidays", "2026-01-01"),
    "holidays-numbers": ("holidays", [20260101]),
    "working-weekends-no-dates": ("working_weekends", ["2026-02-30"]),
    "on-holidays-a-number": ("calls_on_public_holidays", 0),
    "on-holidays-a-text": ("calls_on_public_holidays", "false"),
    "holiday-years-no-years": ("holiday_years", ["next"]),
    "holiday-years-a-text": ("holiday_years", "2027"),
}
MALFORMED_FIGURES: dict[str, Any] = {
    "zero": 0,
    "negative": -1,
    "text": "3",
    "fraction": 3.5,
    "true": True,
    "none": None,
    "enormous": 10**18,
}


@pytest.mark.parametrize(("part", "value"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_part_is_refused_by_name(part: str, value: Any) -> None:
    with pytest.raises(Refused) as refusal:
        read(document(**{part: value}))
    assert (refusal.value.code, refusal.value.field) == ("policy_malformed", part)


@pytest.mark.parametrize("figure", policy.FIGURES)
@pytest.mark.parametrize("value", MALFORMED_FIGURES.values(), ids=MALFORMED_FIGURES)
def test_a_malformed_figure_is_refused_by_name(figure: str, value: Any) -> None:
    with pytest.raises(Refused) as refusal:
        read(document(**{figure: value}))
    assert (refusal.value.code, refusal.value.field) == ("policy_malformed", figure)


@pytest.mark.parametrize("part", CHINA)
def test_nothing_is_left_to_a_default(part: str) -> None:
    incomplete = document()
    del incomplete[part]
    with pytest.raises(Refused) as refusal:
        read(incomplete)
    assert (refusal.value.code, refusal.value.field) == ("policy_malformed", part)


# --- what weakens ------------------------------------------------------------------------------------

HOLIDAY, MAKE_UP_DAY = "2027-02-08", "2027-02-14"

# rule → (what it was before, what it is after): the second protects less, and the first, after it, more.
WEAKENING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stances": ({}, {"stances": stances(loan_finance="open")}),
    "hours": ({}, {"hours": [["09:00", "12:00"], ["14:00", "20:01"]]}),
    "calls_on_public_holidays": ({}, {"calls_on_public_holidays": True}),
    "holidays": ({"holidays": [HOLIDAY]}, {}),
    "working_weekends": ({}, {"working_weekends": [MAKE_UP_DAY]}),
    "cap_days": ({}, {"cap_days": 4}),
    "cap_window_days": ({}, {"cap_window_days": 29}),
    "check_valid_minutes": ({}, {"check_valid_minutes": 16}),
    "scrub_valid_hours": ({}, {"scrub_valid_hours": 25}),
    "authorization_months": ({}, {"authorization_months": 7}),
    "authorization_months_most": ({}, {"authorization_months_most": 25}),
    "suspension_days": ({}, {"suspension_days": 14}),
    "bar_months": ({}, {"bar_months": 11}),
}


@pytest.mark.parametrize("rule", WEAKENING)
def test_less_protection_is_noticed(rule: str) -> None:
    before, after = WEAKENING[rule]
    assert weakens(read(document(**before)), read(document(**after))) == [rule]


@pytest.mark.parametrize("rule", WEAKENING)
def test_more_protection_is_no_weakening(rule: str) -> None:
    before, after = WEAKENING[rule]
    assert weakens(read(document(**after)), read(document(**before))) == []


def test_every_rule_has_its_weakening() -> None:
    """All that a policy says, but for what does not protect anybody by itself."""
    assert set(WEAKENING) == set(CHINA) - {"zone", "numbering_data", "holiday_years"}


def test_the_same_rules_weaken_nothing() -> None:
    assert weakens(read(CHINA), read(CHINA)) == []


def test_the_open_policy_weakens_the_chinese_one() -> None:
    assert "stances" in weakens(read(CHINA), read(shipped.policy("open_for_all")))


def test_opening_a_purpose_that_had_no_stance_weakens() -> None:
    without = {purpose: stance for purpose, stance in CHINA["stances"].items() if purpose != "retail"}
    assert weakens(read(document(stances=without)), read(CHINA)) == ["stances"]


def test_leaving_the_stance_of_an_open_purpose_out_protects_it() -> None:
    without = {purpose: stance for purpose, stance in CHINA["stances"].items() if purpose != "retail"}
    assert weakens(read(CHINA), read(document(stances=without))) == []


def test_hours_that_move_weaken_even_if_they_are_fewer() -> None:
    assert weakens(read(CHINA), read(document(hours=[["08:00", "09:30"]]))) == ["hours"]


def test_the_same_hours_cut_differently_weaken_nothing() -> None:
    cut = document(hours=[["09:00", "10:00"], ["10:00", "12:00"], ["14:00", "20:00"]])
    assert weakens(read(CHINA), read(cut)) == []


def test_a_year_published_without_its_holidays_weakens() -> None:
    """Until a year is published its fixed dates are holidays; published without them, they may be called on."""
    before, after = read(CHINA), read(document(holiday_years=[2031]))
    new_years_day = date(2031, 1, 1)
    assert before.calendar.is_public_holiday(new_years_day)
    assert not after.calendar.is_public_holiday(new_years_day)
    assert weakens(before, after) != []


@given(st.fixed_dictionaries({rule: st.booleans() for rule in WEAKENING}))
def test_each_weakening_is_named_whatever_else_changes(chosen: dict[str, bool]) -> None:
    before, after = document(), document()
    for rule, is_chosen in chosen.items():
        if is_chosen:
            before |= WEAKENING[rule][0]
            after |= WEAKENING[rule][1]
    assert weakens(read(before), read(after)) == [rule for rule in WEAKENING if chosen[rule]]


# --- months and days ---------------------------------------------------------------------------------


def rules() -> Rules:
    return read(CHINA)


@pytest.mark.parametrize(
    ("local", "months", "until"),
    [
        pytest.param((2026, 1, 7, 10), 6, (2026, 7, 7), id="a-plain-half-year"),
        pytest.param((2026, 8, 31, 10), 6, (2027, 2, 28), id="august-31-to-february"),
        pytest.param((2027, 8, 31, 10), 6, (2028, 2, 29), id="to-a-leap-february"),
        pytest.param((2026, 3, 31, 10), 1, (2026, 4, 30), id="a-shorter-month"),
        pytest.param((2028, 2, 29, 10), 12, (2029, 2, 28), id="from-a-leap-day"),
        pytest.param((2026, 12, 31, 23), 24, (2028, 12, 31), id="two-years"),
        pytest.param((2026, 8, 31, 0), 6, (2027, 2, 28), id="from-the-first-instant-of-a-day"),
    ],
)
def test_months_are_calendar_months_to_the_local_midnight(
    local: tuple[int, int, int, int], months: int, until: tuple[int, int, int]
) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    at = datetime(*local, tzinfo=zone)
    assert rules().months_later(at.astimezone(UTC), months) == datetime(*until, tzinfo=zone)


def test_the_day_is_that_of_the_policys_zone() -> None:
    assert rules().day(datetime(2026, 8, 30, 16, tzinfo=UTC)) == date(2026, 8, 31)
    assert rules().day(datetime(2026, 8, 30, 15, 59, tzinfo=UTC)) == date(2026, 8, 30)
