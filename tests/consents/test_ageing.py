"""Records of checks go when their term is over, not a day sooner, and without holding up those who ask."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from consents import ageing, check
from consents.models import AllowDay, CheckRecord, CheckSegment, CheckSet
from record import partitions
from record.ledger import OPERATOR
from record.numbers import parse_caller
from telemarketers import policy as policies
from telemarketers import shipped
from telemarketers.actions import rules
from telemarketers.terms import Channel
from tests.world import ALICE, BOB, LOANS_LINE, NOW, START, World

CHINA = policies.read(shipped.policy("china"))
# Local midnights in Shanghai: the first instant of 7 and 8 July, six calendar months after the check's day.
TERM_OVER = datetime(2026, 7, 6, 16, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
POSTGRES = connection.vendor == "postgresql"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ageing, "PAUSE", 0)


def ask_batch(w: World) -> None:
    asked = check.Asked(parse_caller(LOANS_LINE), "loan_finance", "", Channel.VOICE)
    callees = [check.read_callee(number.e164) for number in (ALICE, BOB)]
    check.check_batch(asked, callees, credential=w.credential, at=NOW)


def left() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in (CheckRecord, CheckSet, CheckSegment, AllowDay)}


@pytest.mark.parametrize(
    ("today", "kept"),
    [
        pytest.param(date(2026, 7, 6), date(2026, 1, 7), id="last-day-of-the-term"),
        pytest.param(date(2026, 7, 7), date(2026, 1, 8), id="term-over"),
        pytest.param(date(2027, 2, 28), date(2026, 9, 1), id="31-august-ends-on-28-february"),
        pytest.param(date(2027, 2, 27), date(2026, 8, 28), id="28-august-not-before-28-february"),
        pytest.param(date(2026, 8, 30), date(2026, 2, 28), id="never-sooner"),
    ],
)
def test_what_is_kept_is_six_calendar_months(today: date, kept: date) -> None:
    at = datetime(today.year, today.month, today.day, 12, tzinfo=CHINA.zone)
    assert ageing.kept_from(at, CHINA) == kept


@pytest.mark.parametrize("day", [date(2026, 1, 1) + timedelta(days=number) for number in range(0, 730, 7)], ids=str)
def test_nothing_goes_before_its_six_months_are_over(day: date) -> None:
    at = datetime(day.year, day.month, day.day, tzinfo=CHINA.zone)
    newest_gone = ageing.kept_from(at, CHINA) - timedelta(days=1)
    asked = datetime(newest_gone.year, newest_gone.month, newest_gone.day, 23, 59, tzinfo=CHINA.zone)
    assert CHINA.months_later(asked, 6) <= at


def test_the_day_is_the_policys_not_the_clocks() -> None:
    assert ageing.kept_from(TERM_OVER - MOMENT, CHINA) == date(2026, 1, 7)
    assert ageing.kept_from(TERM_OVER, CHINA) == date(2026, 1, 8)


def test_batches_and_allow_days_go_when_their_term_is_over(w: World) -> None:
    w.authorize(at=START)
    w.ask(matter=w.offer.code)
    ask_batch(w)
    before = left()
    assert before == {"CheckRecord": 1, "CheckSet": 1, "CheckSegment": 1, "AllowDay": 1}

    assert ageing.age_out(at=TERM_OVER - MOMENT) == 0
    assert left() == before

    ageing.age_out(at=TERM_OVER)
    assert left() == {"CheckRecord": 1 if POSTGRES else 0, "CheckSet": 0, "CheckSegment": 0, "AllowDay": 0}
    assert ageing.age_out(at=TERM_OVER) == 0


def test_what_is_newer_stays(w: World) -> None:
    for days in (0, 1):
        w.ask(at=NOW + timedelta(days=days))
    ageing.age_out(at=TERM_OVER)
    assert CheckRecord.objects.filter(checked_at__gt=NOW).count() == 1


def test_more_than_a_chunk_goes_too(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ageing, "CHUNK", 2)
    for _check in range(5):
        ask_batch(w)
    assert ageing.age_out(at=TERM_OVER) == 5
    assert left()["CheckSet"] == 0


def test_a_run_stops_in_time_and_the_next_goes_on(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_batch(w)
    with monkeypatch.context() as short:
        short.setattr(ageing, "RUN", 0)
        assert ageing.age_out(at=TERM_OVER) == 0
    assert ageing.age_out(at=TERM_OVER) == 1


def test_days_that_a_cap_still_counts_are_kept(w: World) -> None:
    """A policy may count up to 366 days; one that is only to come counts as well."""
    document: dict[str, Any] = {**shipped.policy("china"), "cap_window_days": 300}
    starts = TERM_OVER + timedelta(days=1)
    rules.publish_policy(version="long", document=document, starts=starts, by=OPERATOR, at=START)
    w.authorize(at=START)
    w.ask(matter=w.offer.code)
    ageing.age_out(at=TERM_OVER)
    assert AllowDay.objects.count() == 1
    ageing.age_out(at=NOW + timedelta(days=302))
    assert AllowDay.objects.count() == 0


def test_a_registry_without_a_policy_has_nothing_to_delete(db: None) -> None:
    assert ageing.age_out(at=NOW) == 0


if POSTGRES:
    TABLE = "consents_checkrecord"

    def months() -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ %s", [rf"^{TABLE}_\d+$"])
            return {name.removeprefix(f"{TABLE}_") for (name,) in cursor.fetchall()}

    def test_a_month_goes_when_all_of_it_is_past_its_term(w: World) -> None:
        """31 January in Shanghai, the last day of the month's records, is past its term on 31 July; in UTC the month
        ends eight hours later, so it goes with 1 February."""
        w.ask()
        ageing.age_out(at=datetime(2026, 7, 31, 12, tzinfo=UTC))
        assert "202601" in months()
        assert ageing.age_out(at=datetime(2026, 8, 1, 12, tzinfo=UTC)) == 1
        assert left()["CheckRecord"] == 0
        assert "202601" not in months()
        assert "202602" in months()

    def test_checks_go_on_after_a_month_has_gone(w: World) -> None:
        partitions.drop_before(connection, TABLE, datetime(2026, 2, 1, tzinfo=UTC))
        w.ask(at=datetime(2026, 2, 3, 2, tzinfo=UTC))
        assert CheckRecord.objects.count() == 1

    def test_a_month_that_was_let_go_and_never_dropped_is_dropped(w: World) -> None:
        """As by a worker that was killed in between."""
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {TABLE} DETACH PARTITION {TABLE}_202601")
        assert partitions.drop_before(connection, TABLE, NOW + timedelta(days=40)) == [f"{TABLE}_202601"]
        assert "202601" not in months()

    def test_the_month_of_the_instant_itself_is_kept(db: None) -> None:
        end = datetime(2026, 2, 1, tzinfo=UTC)
        assert partitions.drop_before(connection, TABLE, end - MOMENT) == []
        assert partitions.drop_before(connection, TABLE, end) == [f"{TABLE}_202601"]

else:

    def test_sqlite_has_no_months_to_drop(db: None) -> None:
        assert partitions.drop_before(connection, "consents_checkrecord", NOW) == []
