"""Tables that PostgreSQL keeps as a partition a month, so that a month past its term is dropped, not deleted.

The key is a UUIDv7, so a month is a range of keys. There is no default partition: it would have to be scanned
whenever one is added. SQLite keeps one plain table.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.apps import AppConfig, apps
from django.db import connections, migrations, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from record.ids import first_uuid

MONTHS_AHEAD = 3
LET_GO_WITHIN = "500ms"


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


def make_after_migrate(*, using: str, app_config: AppConfig, **_: Any) -> None:
    """Receiver of `post_migrate`: a new table can be written to at once."""
    for table in partitioned(app_config.label):
        make_ahead(connections[using], table, datetime.now(UTC))


def make_ahead(connection: BaseDatabaseWrapper, table: str, at: datetime, months: int = MONTHS_AHEAD) -> list[str]:
    """Makes the partition of the month of `at` and of the `months` after it; returns the names of the new ones."""
    if connection.vendor != "postgresql":
        return []
    made = []
    with connection.cursor() as cursor:
        for month in range(months + 1):
            start, end = _month(at, month), _month(at, month + 1)
            name = f"{table}_{start:%Y%m}"
            cursor.execute("SELECT to_regclass(%s)", [name])
            if cursor.fetchone() == (None,):
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table}"
                    f" FOR VALUES FROM ('{first_uuid(start)}') TO ('{first_uuid(end)}')"
                )
                made.append(name)
    return made


def drop_before(connection: BaseDatabaseWrapper, table: str, at: datetime) -> list[str]:
    """Takes the months that were wholly over at `at` off the table and drops them; returns their names.

    A month is let go first and dropped then, so that removing a large file holds nobody up; one that was let go and
    never dropped is found again. Letting go waits for running checks no longer than LET_GO_WITHIN, and raises then.
    """
    if connection.vendor != "postgresql":
        return []
    present = f"{at.astimezone(UTC):%Y%m}"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid AND inhparent = %s::regclass)"
            " FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class"
            " WHERE oid = %s::regclass) AND c.relname ~ %s ORDER BY c.relname",
            [table, table, rf"^{table}_\d{{6}}$"],
        )
        over = [(name, attached) for name, attached in cursor.fetchall() if name.removeprefix(f"{table}_") < present]
        for name, attached in over:
            if attached:
                with transaction.atomic(using=connection.alias):
                    cursor.execute(f"SET LOCAL lock_timeout = '{LET_GO_WITHIN}'")
                    cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
            cursor.execute(f"DROP TABLE {name}")
    return [name for name, _attached in over]


def ahead(connection: BaseDatabaseWrapper, table: str, at: datetime) -> int:
    """How many whole months after that of `at` can be written to without a break."""
    if connection.vendor != "postgresql":
        return MONTHS_AHEAD
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
        present = {name for (name,) in cursor.fetchall()}
    months = 0
    while f"{table}_{_month(at, months):%Y%m}" in present:
        months += 1
    return months - 1


def _month(at: datetime, later: int) -> datetime:
    months = at.year * 12 + at.month - 1 + later
    return at.replace(year=months // 12, month=months % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
