"""Tables that PostgreSQL keeps as a partition a month, so that a month past its term is dropped, not deleted.

The key is a UUIDv7, so a month is a range of keys. There is no default partition: it would have to be scanned
whenever one is added. SQLite keeps one plain table.

Partitions are made and dropped by functions that run with their owner's rights (SECURITY DEFINER), so that the
application's role can do this and nothing else to a table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.apps import AppConfig, apps
from django.db import connections, migrations
from django.db.backends.base.base import BaseDatabaseWrapper

MONTHS_AHEAD = 3
# Records of checks are kept for 6 calendar months (design §5), of which the shortest six have 181 days: nobody's SQL
# may delete a younger one.
KEPT_DAYS = 180


class CreatePartitionedModel(migrations.CreateModel):
    """`CreateModel`, partitioned by ranges of its UUIDv7 key on PostgreSQL."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        plain = schema_editor.sql_create_table
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.sql_create_table = f"{plain} PARTITION BY RANGE (id)"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = plain


def partitioned(app_label: str | None = None) -> list[str]:
    """The tables kept so: those of models that say `by_month = True`."""
    return [
        model._meta.db_table
        for model in apps.get_models()
        if getattr(model, "by_month", False) and app_label in (None, model._meta.app_label)
    ]


# A month is its first day. The names, bounds and terms are computed here and nowhere else, so that whoever may call
# these functions can do no other harm with them.
FUNCTIONS = """
CREATE OR REPLACE FUNCTION record_first_uuid(month date) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN rpad(
    lpad(to_hex((extract(epoch FROM month::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0'), 32, '0'
)::uuid;

CREATE OR REPLACE FUNCTION record_make_partition(parent text, month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition text := parent || to_char(month, '_YYYYMM');
BEGIN
    IF parent <> ALL ({tables}) OR month <> date_trunc('month', month) THEN
        RAISE EXCEPTION 'no table kept by month, or no first of a month';
    END IF;
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', partition, parent,
        record_first_uuid(month), record_first_uuid((month + interval '1 month')::date));
    RETURN true;
END $$;

-- Lets a month go, or drops one that was let go; says whether it is gone.
CREATE OR REPLACE FUNCTION record_drop_partition(parent text, month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
    partition text := parent || to_char(month, '_YYYYMM');
BEGIN
    IF parent <> ALL ({tables}) OR month <> date_trunc('month', month) THEN
        RAISE EXCEPTION 'no table kept by month, or no first of a month';
    END IF;
    IF month + interval '1 month' > now() - interval '{kept_days} days' THEN
        RAISE EXCEPTION 'the term of this month is not over' USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = partition::regclass) THEN
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, partition);
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE %I', partition);
    RETURN true;
END $$;

REVOKE EXECUTE ON FUNCTION {callable} FROM PUBLIC;
"""
CALLABLE = "record_make_partition(text, date), record_drop_partition(text, date)"


def make_after_migrate(*, using: str, app_config: AppConfig, **_: Any) -> None:
    """Receiver of `post_migrate`: a new table can be written to at once."""
    tables = [
        table for table in partitioned(app_config.label) if table in connections[using].introspection.table_names()
    ]
    if tables and connections[using].vendor == "postgresql":
        install_functions(connections[using])
    for table in tables:
        make_ahead(connections[using], table, datetime.now(UTC))


def install_functions(connection: BaseDatabaseWrapper) -> None:
    """Makes the functions, or makes them anew."""
    named = ", ".join(f"'{table}'" for table in partitioned())
    with connection.cursor() as cursor:
        cursor.execute(FUNCTIONS.format(tables=f"ARRAY[{named}]", kept_days=KEPT_DAYS, callable=CALLABLE))


def make_ahead(connection: BaseDatabaseWrapper, table: str, at: datetime, months: int = MONTHS_AHEAD) -> list[str]:
    """Makes the partition of the month of `at` and of the `months` after it; returns the names of the new ones."""
    if connection.vendor != "postgresql":
        return []
    made = []
    with connection.cursor() as cursor:
        for month in range(months + 1):
            start = _month(at, month)
            cursor.execute("SELECT record_make_partition(%s, %s)", [table, start.date()])
            if cursor.fetchone() == (True,):
                made.append(f"{table}_{start:%Y%m}")
    return made


def drop_before(connection: BaseDatabaseWrapper, table: str, at: datetime) -> list[str]:
    """Takes the months that were wholly over at `at` off the table and drops them; returns their names.

    A month is let go first and dropped then, so that removing a large file holds nobody up; one that was let go and
    never dropped is found again. The database refuses what is younger than the records' term. Letting go waits for
    running checks for half a second at most, since everybody else has to wait behind it, and raises then.
    """
    if connection.vendor != "postgresql":
        return []
    present = f"{table}_{at.astimezone(UTC):%Y%m}"
    over = [name for name in _months_of(connection, table) if name < present]
    for name in over:
        month = datetime.strptime(name.removeprefix(f"{table}_"), "%Y%m").replace(tzinfo=UTC)
        is_gone = False
        while not is_gone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT record_drop_partition(%s, %s)", [table, month.date()])
                (is_gone,) = cursor.fetchone()
    return over


def _months_of(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """Every table of a month, whether it is still a part of the whole or was let go."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ %s AND relnamespace ="
            " (SELECT relnamespace FROM pg_class WHERE oid = %s::regclass) ORDER BY relname",
            [rf"^{table}_\d{{6}}$", table],
        )
        return [name for (name,) in cursor.fetchall()]


def ahead(connection: BaseDatabaseWrapper, table: str, at: datetime) -> int:
    """How many whole months after that of `at` can be written to without a break."""
    if connection.vendor != "postgresql":
        return MONTHS_AHEAD
    present = _present(connection, table)
    months = 0
    while f"{table}_{_month(at, months):%Y%m}" in present:
        months += 1
    return months - 1


def _present(connection: BaseDatabaseWrapper, table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
        return {name for (name,) in cursor.fetchall()}


def _month(at: datetime, later: int) -> datetime:
    months = at.year * 12 + at.month - 1 + later
    return at.replace(year=months // 12, month=months % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
