"""Rules about rows over time that the database itself holds, on SQLite and PostgreSQL alike.

A model lists its guards beside its fields (`guards = (ClosesOnly(), NoOverlap(("firm_id",)))`); after every
`migrate` they are put in place again, because SQLite drops a table's triggers when a migration remakes it.
`missing()` compares the database's catalogue with the models. Breaking a guard is an `IntegrityError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from django.apps import AppConfig, apps
from django.apps.registry import Apps
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

# Name in the catalogue → the statement that makes it, or makes it anew.
Statements = dict[str, str]


class Guard(Protocol):
    def sqlite(self, model: type[models.Model]) -> Statements: ...

    def postgresql(self, model: type[models.Model]) -> Statements: ...


@dataclass(frozen=True)
class AppendOnly:
    """Rows are written once. With `kept_days` a row may be deleted whole, never changed, when it is older than that.

    Its age is counted from the column `since`: an instant, or a UUIDv7, which tells one.
    """

    kept_days: int | None = None
    since: str = ""

    def sqlite(self, model: type[models.Model]) -> Statements:
        table = model._meta.db_table
        update, delete = f"{table}_append_only_update", f"{table}_append_only_delete"
        young = ""
        if self.kept_days is not None:
            term = f"strftime('%Y-%m-%d %H:%M:%S', 'now', '-{self.kept_days} days')"
            if self._tells_time_by_id(model):
                term = f"printf('%012x', (strftime('%s', 'now') - {self.kept_days} * 86400) * 1000)"
            young = f" FOR EACH ROW WHEN OLD.{self.since} > {term}"
        return {
            update: _sqlite_trigger(update, f"BEFORE UPDATE ON {table}", f"SELECT RAISE(ABORT, '{update}')"),
            delete: _sqlite_trigger(delete, f"BEFORE DELETE ON {table}{young}", f"SELECT RAISE(ABORT, '{delete}')"),
        }

    def postgresql(self, model: type[models.Model]) -> Statements:
        table = model._meta.db_table
        update, delete = f"{table}_append_only_update", f"{table}_append_only_delete"
        young = "true"
        if self.kept_days is not None:
            term = f"now() - interval '{self.kept_days} days'"
            if self._tells_time_by_id(model):
                milliseconds = f"(extract(epoch FROM {term}) * 1000)::bigint"
                term = f"rpad(lpad(to_hex({milliseconds}), 12, '0'), 32, '0')::uuid"
            young = f"OLD.{self.since} > {term}"
        return {
            update: _postgres_refusal(update, f"BEFORE UPDATE ON {table}"),
            delete: _postgres_refusal(delete, f"BEFORE DELETE ON {table}", unless=f"NOT ({young})"),
            **_postgres_truncate(table),
        }

    def _tells_time_by_id(self, model: type[models.Model]) -> bool:
        (field,) = (field for field in model._meta.concrete_fields if field.column == self.since)
        return isinstance(getattr(field, "target_field", field), models.UUIDField)


@dataclass(frozen=True)
class NeverChanged:
    """Rows are written once, and deleted whole when they are of no more use."""

    def sqlite(self, model: type[models.Model]) -> Statements:
        table = model._meta.db_table
        update = f"{table}_never_changed_update"
        return {update: _sqlite_trigger(update, f"BEFORE UPDATE ON {table}", f"SELECT RAISE(ABORT, '{update}')")}

    def postgresql(self, model: type[models.Model]) -> Statements:
        table = model._meta.db_table
        update = f"{table}_never_changed_update"
        return {update: _postgres_refusal(update, f"BEFORE UPDATE ON {table}")}


@dataclass(frozen=True)
class ClosesOnly:
    """A dated row is never deleted and never rewritten: its `ends` may only come nearer.

    Columns in `once` may be filled once (an approval, how a row ended); all others are fixed at birth. With `ends_once`
    a row that has been ended stays as it is; and what says how a row `ended` can be filled only by ending it.
    """

    once: tuple[str, ...] = ()
    ends_once: bool = False

    def sqlite(self, model: type[models.Model]) -> Statements:
        table = model._meta.db_table
        update, delete = f"{table}_closes_only_update", f"{table}_closes_only_delete"
        rewrites = f"BEFORE UPDATE ON {table} FOR EACH ROW WHEN {self._rewrites(model, 'IS NOT')}"
        return {
            update: _sqlite_trigger(update, rewrites, f"SELECT RAISE(ABORT, '{update}')"),
            delete: _sqlite_trigger(delete, f"BEFORE DELETE ON {table}", f"SELECT RAISE(ABORT, '{delete}')"),
        }

    def postgresql(self, model: type[models.Model]) -> Statements:
        table = model._meta.db_table
        update, delete = f"{table}_closes_only_update", f"{table}_closes_only_delete"
        when = f"WHEN {self._rewrites(model, 'IS DISTINCT FROM')}"
        return {
            update: _postgres_refusal(update, f"BEFORE UPDATE ON {table}", when),
            delete: _postgres_refusal(delete, f"BEFORE DELETE ON {table}"),
            **_postgres_truncate(table),
        }

    def _rewrites(self, model: type[models.Model], differs: str) -> str:
        """What an update may not do, as a condition on OLD and NEW."""
        clauses = ["(OLD.ends IS NOT NULL AND (NEW.ends IS NULL OR NEW.ends > OLD.ends))"]
        if self.ends_once:
            clauses.append(f"(OLD.ends IS NOT NULL AND NEW.ends {differs} OLD.ends)")
        if "ended" in self.once:
            clauses.append(f"(OLD.ended <> '' AND NEW.ends {differs} OLD.ends)")
            clauses.append("(NEW.ended <> OLD.ended AND NEW.ends >= OLD.ends)")
        for field in model._meta.concrete_fields:
            changed = f"NEW.{field.column} {differs} OLD.{field.column}"
            if field.column == "ends":
                continue
            if field.column in self.once and field.null:
                clauses.append(f"(OLD.{field.column} IS NOT NULL AND {changed})")
            elif field.column in self.once and isinstance(field, models.CharField | models.TextField):
                clauses.append(f"(OLD.{field.column} <> '' AND {changed})")
            else:
                clauses.append(changed)
        return f"({' OR '.join(clauses)})"


@dataclass(frozen=True)
class RekeyedUpwards:
    """A number's row is never deleted, and changes only by standing under a newer `key` than before."""

    def sqlite(self, model: type[models.Model]) -> Statements:
        update, delete, table = self._names(model)
        rewrites = f"BEFORE UPDATE ON {table} FOR EACH ROW WHEN NEW.id <> OLD.id OR NEW.key <= OLD.key"
        return {
            update: _sqlite_trigger(update, rewrites, f"SELECT RAISE(ABORT, '{update}')"),
            delete: _sqlite_trigger(delete, f"BEFORE DELETE ON {table}", f"SELECT RAISE(ABORT, '{delete}')"),
        }

    def postgresql(self, model: type[models.Model]) -> Statements:
        update, delete, table = self._names(model)
        when = "WHEN (NEW.id <> OLD.id OR NEW.key <= OLD.key)"
        return {
            update: _postgres_refusal(update, f"BEFORE UPDATE ON {table}", when),
            delete: _postgres_refusal(delete, f"BEFORE DELETE ON {table}"),
            **_postgres_truncate(table),
        }

    def _names(self, model: type[models.Model]) -> tuple[str, str, str]:
        table = model._meta.db_table
        return f"{table}_rekeyed_upwards_update", f"{table}_rekeyed_upwards_delete", table


@dataclass(frozen=True)
class NoOverlap:
    """Of the rows alike in `columns`, at most one is in force at any instant. NULLs in `or_none` are alike.

    A row that waits for its approval (no `starts`) is in nobody's way, and neither is an empty interval.
    `born_open`: every row is written without an end and gets it later, once (docs/decisions/0026-rows-born-open.md).
    """

    columns: tuple[str, ...]
    or_none: tuple[str, ...] = ()
    born_open: bool = False

    def sqlite(self, model: type[models.Model]) -> Statements:
        table, name, born_open = self._names(model)
        # Closing a row cannot make it overlap another; an insert or a beginning can.
        events = {name: "INSERT", f"{name}_update": "UPDATE OF starts"}
        statements = {
            name: _sqlite_trigger(
                name,
                f"BEFORE {event} ON {table} FOR EACH ROW WHEN NEW.starts IS NOT NULL",
                f"SELECT RAISE(ABORT, '{table}_no_overlap') WHERE EXISTS"
                f" (SELECT 1 {self._overlapping('NEW', table, 'IS')})",
            )
            for name, event in events.items()
        }
        if self.born_open:
            statements[born_open] = _sqlite_trigger(
                born_open,
                f"BEFORE INSERT ON {table} FOR EACH ROW WHEN NEW.ends IS NOT NULL",
                f"SELECT RAISE(ABORT, '{born_open}')",
            )
        return statements

    def postgresql(self, model: type[models.Model]) -> Statements:
        table, name, born_open = self._names(model)
        alike = [*self.columns, *(f"COALESCE({column}::text, '')" for column in self.or_none)]
        if not self.born_open:
            equal = ", ".join(f"{column} WITH =" for column in alike)
            return {
                name: "CREATE EXTENSION IF NOT EXISTS btree_gist;"
                f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = '{name}' AND"
                f" conrelid = '{table}'::regclass) THEN"
                f" ALTER TABLE {table} ADD CONSTRAINT {name}"
                f" EXCLUDE USING gist ({equal}, tstzrange(starts, ends, '[)') WITH &&)"
                " WHERE (starts IS NOT NULL); END IF; END $$"
            }
        open_once = f"{name}_open"
        return {
            born_open: _postgres_refusal(born_open, f"AFTER INSERT ON {table}", "WHEN (NEW.ends IS NOT NULL)"),
            open_once: f"CREATE UNIQUE INDEX IF NOT EXISTS {open_once} ON {table} ({', '.join(alike)})"
            " WHERE ends IS NULL",
            # After the insert: only then has the index waited for whoever is closing the row before. Once a statement
            # and not once a row, which would cost more than the row. LATERAL with its LIMIT, and no table read from end
            # to end: by index, row by row, however small the table was when a session made its plan.
            name: _postgres_refusal(
                name,
                f"AFTER INSERT ON {table} REFERENCING NEW TABLE AS made",
                each="STATEMENT",
                settings="SET enable_seqscan = off",
                unless="NOT EXISTS (SELECT 1 FROM made, LATERAL"
                f" (SELECT 1 {self._overlapping('made', table, 'IS NOT DISTINCT FROM')} LIMIT 1) AS overlapping)",
            ),
        }

    def _names(self, model: type[models.Model]) -> tuple[str, str, str]:
        table = model._meta.db_table
        return table, f"{table}_no_overlap", f"{table}_born_open"

    def _overlapping(self, row: str, table: str, same: str) -> str:
        """The other rows that overlap `row`, as FROM and WHERE of a query."""
        alike = " AND ".join(
            [f"other.{column} = {row}.{column}" for column in self.columns]
            + [f"other.{column} {same} {row}.{column}" for column in self.or_none]
        )
        return (
            f"FROM {table} AS other WHERE {alike} AND NOT (other.id {same} {row}.id) AND other.starts IS NOT NULL"
            f" AND (other.ends IS NULL OR (other.ends > {row}.starts AND other.ends > other.starts))"
            f" AND ({row}.ends IS NULL OR ({row}.ends > other.starts AND {row}.ends > {row}.starts))"
        )


def guarded(app_label: str | None = None) -> Iterable[tuple[type[models.Model], Guard]]:
    """Every model with each of its guards."""
    for model in apps.get_models():
        if app_label in (None, model._meta.app_label):
            for guard in getattr(model, "guards", ()):
                yield model, guard


def install(connection: BaseDatabaseWrapper, app_label: str | None = None, state: Apps = apps) -> None:
    """Puts every guard in place, on the tables and columns that there are in `state`; safe to run again."""
    with connection.cursor() as cursor:
        for model, guard in guarded(app_label):
            there = _in_state(model, state)
            if there is None:
                continue
            for name, statement in _statements(there, guard, connection).items():
                if connection.vendor == "sqlite":
                    cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                cursor.execute(statement)


def take_off(connection: BaseDatabaseWrapper, table: str) -> None:
    """Drops a table's triggers: for a migration that must change rows. `migrate` puts them back when it is through."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [table])
        else:
            cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = %s::regclass", [table])
        for (name,) in cursor.fetchall():
            cursor.execute(
                f"DROP TRIGGER {name}" if connection.vendor == "sqlite" else f"DROP TRIGGER {name} ON {table}"
            )


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of guards that the models ask for and the database lacks, on the tables that there are."""
    catalogue = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A') UNION SELECT conname FROM pg_constraint"
        " UNION SELECT indexrelid::regclass::text FROM pg_index WHERE indisvalid"
    )
    with connection.cursor() as cursor:
        cursor.execute(catalogue)
        present = {name for (name,) in cursor.fetchall()}
        tables = set(connection.introspection.table_names(cursor))
    return [
        name
        for model, guard in guarded()
        if model._meta.db_table in tables
        for name in _statements(model, guard, connection)
        if name not in present
    ]


def install_after_migrate(*, using: str, app_config: AppConfig, apps: Apps = apps, **_: Any) -> None:
    """Receiver of `post_migrate`: that app's guards, on the database just migrated, forward or back."""
    with transaction.atomic(using=using):  # at once: for a server at work there is no moment without them
        install(connections[using], app_config.label, apps)


def _in_state(model: type[models.Model], state: Apps) -> type[models.Model] | None:
    """The model, or what it was like if a migration back has taken columns of it; None if it took the table."""
    try:
        was = state.get_model(model._meta.label_lower)
    except LookupError:
        return None
    return model if _columns(was) == _columns(model) else was


def _columns(model: type[models.Model]) -> set[str]:
    return {str(field.column) for field in model._meta.concrete_fields}


def _statements(model: type[models.Model], guard: Guard, connection: BaseDatabaseWrapper) -> Statements:
    return guard.sqlite(model) if connection.vendor == "sqlite" else guard.postgresql(model)


def _sqlite_trigger(name: str, event: str, body: str) -> str:
    return f"CREATE TRIGGER {name} {event} BEGIN {body}; END"


def _postgres_refusal(
    name: str, event: str, when: str = "", each: str = "ROW", unless: str = "false", settings: str = ""
) -> str:
    """A trigger that refuses with its own name, as an integrity error (class 23)."""
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {settings} AS $$ BEGIN"
        f" IF {unless} THEN RETURN OLD; END IF;"
        f" RAISE EXCEPTION '{name}' USING ERRCODE = 'restrict_violation'; END $$;"
        f"CREATE OR REPLACE TRIGGER {name} {event} FOR EACH {each} {when} EXECUTE FUNCTION {name}()"
    )


def _postgres_truncate(table: str) -> Statements:
    name = f"{table}_no_truncate"
    return {name: _postgres_refusal(name, f"BEFORE TRUNCATE ON {table}", each="STATEMENT")}
