"""What may the application's database role do? (PostgreSQL; docs/operations.md says how to make the two roles.)

The owner migrates; the application reads and writes rows, no more than each table's guards let anybody. So neither a
mistake nor a break-in at the application can switch a guard off, or rewrite an event.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from record import partitions
from record.guards import AppendOnly, ClosesOnly, NeverChanged, RekeyedUpwards


def grant_after_migrate(*, using: str, app_config: AppConfig, **_: Any) -> None:
    """Receiver of `post_migrate`: that app's tables, for the role that DATABASE_APP_ROLE names."""
    connection = connections[using]
    if connection.vendor == "postgresql" and settings.DATABASE_APP_ROLE:
        grant(connection, settings.DATABASE_APP_ROLE, app_config)


def grant(connection: BaseDatabaseWrapper, role: str, app_config: AppConfig) -> None:
    """Takes every right of the role's on the app's tables, and gives back those that it needs."""
    app = sql.Identifier(role)
    # At once: for a server at work there is no moment without rights.
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(app))
        cursor.execute(sql.SQL("GRANT SELECT ON django_migrations TO {}").format(app))
        tables = connection.introspection.table_names(cursor)
        for model in app_config.get_models(include_auto_created=True):
            if model._meta.db_table not in tables:  # after a migration back
                continue
            table = sql.Identifier(model._meta.db_table)
            cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(table, app))
            rights = sql.SQL(", ".join(rights_on(model)))
            cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(rights, table, app))
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [model._meta.db_table, model._meta.pk.column])
            (sequence,) = cursor.fetchone()
            if sequence:
                cursor.execute(sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sql.SQL(sequence), app))
        if partitions.partitioned(app_config.label):
            cursor.execute(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(partitions.CALLABLE), app))


def rights_on(model: type[models.Model]) -> list[str]:
    """No more than the table's guards let anybody do."""
    for guard in getattr(model, "guards", ()):
        if isinstance(guard, AppendOnly):
            # A table kept by month loses whole months (record/partitions.py), never rows.
            may_delete = guard.kept_days is not None and not getattr(model, "by_month", False)
            return ["SELECT", "INSERT", "DELETE"] if may_delete else ["SELECT", "INSERT"]
        if isinstance(guard, NeverChanged):
            return ["SELECT", "INSERT", "DELETE"]
        if isinstance(guard, ClosesOnly | RekeyedUpwards):
            return ["SELECT", "INSERT", "UPDATE"]
    return ["SELECT", "INSERT", "UPDATE", "DELETE"]


def excessive(connection: BaseDatabaseWrapper) -> list[str]:
    """What the present role may do to tables and should not, as "UPDATE on record_event"; for the start's refusal."""
    wanted = {
        model._meta.db_table: set(rights_on(model))
        for model in apps.get_models(include_auto_created=True)
        if getattr(model, "guards", ())
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename, privilege FROM pg_tables,"
            " unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS privilege,"
            " format('%%I.%%I', schemaname, tablename) AS named"
            " WHERE schemaname = 'public' AND tablename = ANY(%s) AND (has_table_privilege(named, privilege)"
            " OR privilege IN ('INSERT', 'UPDATE') AND has_any_column_privilege(named, privilege)) ORDER BY 1, 2",
            [list(wanted)],
        )
        return [f"{right} on {table}" for table, right in cursor.fetchall() if right not in wanted[table]]
