"""A month of check records is a partition on PostgreSQL, made ahead; on SQLite there is one plain table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from consents.models import CheckRecord
from record import partitions
from record.ids import uuid7
from tests.world import NOW, START, World

TABLE = "consents_checkrecord"
# No test's month: nothing is made for it beforehand.
FAR = datetime(2035, 11, 15, 12, tzinfo=UTC)


def sql(statement: str, *parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def record_at(w: World, at: datetime) -> CheckRecord:
    """A check record whose id says that it was made at `at`."""
    w.ask()
    record = CheckRecord.objects.get()
    record.pk = uuid7(at)
    return CheckRecord.objects.bulk_create([record])[0]


def test_check_records_are_kept_by_month() -> None:
    assert partitions.partitioned() == [TABLE]
    assert partitions.partitioned("consents") == [TABLE]
    assert partitions.partitioned("telemarketers") == []


def test_a_new_database_can_be_written_to_for_months(db: None) -> None:
    assert partitions.ahead(connection, TABLE, datetime.now(UTC)) >= partitions.MONTHS_AHEAD


def test_an_old_record_is_found_again_in_either_month(w: World) -> None:
    other = record_at(w, START + timedelta(days=40))
    assert CheckRecord.objects.get(pk=other.pk).checked_at == NOW
    assert CheckRecord.objects.count() == 2


if connection.vendor == "postgresql":

    def test_the_month_and_those_after_it_are_made_across_the_years_end(db: None) -> None:
        made = partitions.make_ahead(connection, TABLE, FAR, months=3)
        assert made == [f"{TABLE}_{month}" for month in (203511, 203512, 203601, 203602)]

    def test_what_is_there_is_not_made_again(db: None) -> None:
        partitions.make_ahead(connection, TABLE, FAR, months=1)
        assert partitions.make_ahead(connection, TABLE, FAR, months=2) == [f"{TABLE}_203601"]
        assert partitions.make_ahead(connection, TABLE, FAR, months=2) == []

    def test_how_far_ahead_is_counted_from_the_month_asked_about(db: None) -> None:
        partitions.make_ahead(connection, TABLE, FAR, months=3)
        assert partitions.ahead(connection, TABLE, FAR) == 3
        assert partitions.ahead(connection, TABLE, datetime(2036, 2, 29, 23, 59, tzinfo=UTC)) == 0

    def test_a_gap_ends_the_count(db: None) -> None:
        partitions.make_ahead(connection, TABLE, FAR, months=3)
        sql(f"DROP TABLE {TABLE}_203512")
        assert partitions.ahead(connection, TABLE, FAR) == 0

    def test_a_month_that_was_not_made_is_less_than_none_ahead(db: None) -> None:
        assert partitions.ahead(connection, TABLE, FAR) == -1

    @pytest.mark.parametrize(
        "at",
        [
            pytest.param(datetime(2026, 3, 1, tzinfo=UTC), id="first-instant"),
            pytest.param(datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC), id="last-instant"),
        ],
    )
    def test_a_record_lies_in_the_month_of_its_id(w: World, at: datetime) -> None:
        record = record_at(w, at)
        assert sql("SELECT tableoid::regclass::text FROM consents_checkrecord WHERE id = %s", record.pk) == [
            (f"{TABLE}_202603",)
        ]

    def test_a_month_that_was_not_made_takes_no_record(w: World) -> None:
        with pytest.raises(IntegrityError, match="no partition"), transaction.atomic():
            record_at(w, FAR)

    def test_a_months_end_takes_its_records_along(w: World) -> None:
        record_at(w, START + timedelta(days=40))
        sql(f"DROP TABLE {TABLE}_202601")
        assert CheckRecord.objects.count() == 1

    def test_the_guard_holds_in_a_partition_named_directly(w: World) -> None:
        w.ask()
        with pytest.raises(IntegrityError, match="append_only_update"), transaction.atomic():
            sql(f"UPDATE {TABLE}_202601 SET verdict = 'allow'")

    def test_the_guard_holds_in_a_partition_made_later(w: World) -> None:
        partitions.make_ahead(connection, TABLE, FAR, months=0)
        record_at(w, FAR)
        with pytest.raises(IntegrityError, match="append_only_update"), transaction.atomic():
            sql(f"UPDATE {TABLE}_203511 SET verdict = 'allow'")

else:

    def test_sqlite_has_nothing_to_make(db: None) -> None:
        assert partitions.make_ahead(connection, TABLE, FAR) == []
        assert partitions.ahead(connection, TABLE, FAR) == partitions.MONTHS_AHEAD

    def test_sqlite_takes_a_record_of_any_month(w: World) -> None:
        assert record_at(w, FAR) in CheckRecord.objects.all()
