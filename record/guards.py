"""Rules about rows over time that the database itself holds, on SQLite and PostgreSQL alike.

A model lists its guards beside its fields (`guards = (ClosesOnly(), NoOverlap("firm_id"))`); after every
`migrate` they are put in place again, because SQLite drops a table's triggers when a migration remakes it.
`missing()` compares the database's catalogue with the models. Breaking a guard is an `IntegrityError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from django.apps import AppConfig, apps
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper


class Guard(Protocol):
    def names(self, model: type[models.Model]) -> list[str]:
        """The triggers and constraints that must exist in the catalogue."""

    def sqlite(self, model: type[models.Model]) -> list[str]: ...

    def postgresql(self, model: type[models.Model]) -> list[str]: ...


@dataclass(frozen=True)
class AppendOnly:
    """Rows are written once. `may_age_out` lets a row be deleted whole when its term is over, never changed."""

    may_age_out: bool = False

    def names(self, model: type[models.Model]) -> list[str]:
        name = f"{model._meta.db_table}_append_only"
        return [f"{name}_update"] if self.may_age_out else [f"{name}_update", f"{name}_delete"]

    def sqlite(self, model: type[models.Model]) -> list[str]:
        return [
            statement
            for name in self.names(model)
            for statement in _sqlite_trigger(
                name,
                f"BEFORE {_verb(name)} ON {model._meta.db_table}",
                f"SELECT RAISE(ABORT, '{name}');",
            )
        ]

    def postgresql(self, model: type[models.Model]) -> list[str]:
        table = model._meta.db_table
        statements = [_postgres_refusal(name, f"BEFORE {_verb(name)} ON {table}") for name in self.names(model)]
        return statements if self.may_age_out else [*statements, _postgres_truncate(table)]


@dataclass(frozen=True)
class ClosesOnly:
    """A dated row is never deleted and never rewritten: its `ends` may only come nearer.

    Columns in `once` may be filled once (an approval, how a row ended); all others are fixed at birth.
    """

    once: tuple[str, ...] = ()

    def names(self, model: type[models.Model]) -> list[str]:
        name = f"{model._meta.db_table}_closes_only"
        return [f"{name}_update", f"{name}_delete"]

    def sqlite(self, model: type[models.Model]) -> list[str]:
        update, delete = self.names(model)
        table = model._meta.db_table
        return [
            *_sqlite_trigger(
                update,
                f"BEFORE UPDATE ON {table} WHEN {self._broken(model, 'IS NOT')}",
                f"SELECT RAISE(ABORT, '{update}');",
            ),
            *_sqlite_trigger(delete, f"BEFORE DELETE ON {table}", f"SELECT RAISE(ABORT, '{delete}');"),
        ]

    def postgresql(self, model: type[models.Model]) -> list[str]:
        update, delete = self.names(model)
        table = model._meta.db_table
        condition = self._broken(model, "IS DISTINCT FROM")
        return [
            _postgres_refusal(update, f"BEFORE UPDATE ON {table}", when=condition),
            _postgres_refusal(delete, f"BEFORE DELETE ON {table}"),
            _postgres_truncate(table),
        ]

    def _broken(self, model: type[models.Model], differs: str) -> str:
        clauses = ["(OLD.ends IS NOT NULL AND (NEW.ends IS NULL OR NEW.ends > OLD.ends))"]
        for field in model._meta.concrete_fields:
            changed = f"NEW.{field.column} {differs} OLD.{field.column}"
            if field.column == "ends":
                continue
            if field.column not in self.once:
                clauses.append(changed)
            elif field.null:
                clauses.append(f"(OLD.{field.column} IS NOT NULL AND {changed})")
            else:
                clauses.append(f"(OLD.{field.column} <> '' AND {changed})")
        return f"({' OR '.join(clauses)})"


@dataclass(frozen=True)
class NoOverlap:
    """Of the rows alike in `columns`, at most one is in force at any instant. NULLs in `or_none` are alike."""

    columns: tuple[str, ...]
    or_none: tuple[str, ...] = ()

    def names(self, model: type[models.Model]) -> list[str]:
        return [f"{model._meta.db_table}_no_overlap"]

    def sqlite(self, model: type[models.Model]) -> list[str]:
        table = model._meta.db_table
        (name,) = self.names(model)
        alike = " AND ".join(
            [f"other.{column} = NEW.{column}" for column in self.columns]
            + [f"other.{column} IS NEW.{column}" for column in self.or_none]
        )
        body = (
            f"SELECT RAISE(ABORT, '{name}') WHERE EXISTS (SELECT 1 FROM {table} AS other"
            f" WHERE {alike} AND other.id IS NOT NEW.id"
            " AND (other.ends IS NULL OR (other.ends > NEW.starts AND other.ends > other.starts))"
            " AND (NEW.ends IS NULL OR (NEW.ends > other.starts AND NEW.ends > NEW.starts)));"
        )
        # Only an insert or a change of the interval can make rows overlap.
        return [
            *_sqlite_trigger(name, f"BEFORE INSERT ON {table} WHEN NEW.starts IS NOT NULL", body),
            *_sqlite_trigger(f"{name}_update", f"BEFORE UPDATE OF starts ON {table} WHEN NEW.starts IS NOT NULL", body),
        ]

    def postgresql(self, model: type[models.Model]) -> list[str]:
        table = model._meta.db_table
        (name,) = self.names(model)
        alike = ", ".join(
            [f"{column} WITH =" for column in self.columns]
            + [f"COALESCE({column}::text, '') WITH =" for column in self.or_none]
        )
        return [
            "CREATE EXTENSION IF NOT EXISTS btree_gist",
            f"DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = '{name}') THEN"
            f" ALTER TABLE {table} ADD CONSTRAINT {name}"
            f" EXCLUDE USING gist ({alike}, tstzrange(starts, ends, '[)') WITH &&)"
            " WHERE (starts IS NOT NULL); END IF; END $$",
        ]


def guarded(app_label: str | None = None) -> Iterable[tuple[type[models.Model], Guard]]:
    """Every model with each of its guards."""
    for model in apps.get_models():
        if app_label in (None, model._meta.app_label):
            for guard in getattr(model, "guards", ()):
                yield model, guard


def install(connection: BaseDatabaseWrapper, app_label: str | None = None) -> None:
    """Puts every guard in place; safe to run again."""
    with connection.cursor() as cursor:
        for model, guard in guarded(app_label):
            statements = guard.sqlite(model) if connection.vendor == "sqlite" else guard.postgresql(model)
            for statement in statements:
                cursor.execute(statement)


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Names of guards that the models ask for and the database lacks, on the tables that there are."""
    catalogue = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A') UNION SELECT conname FROM pg_constraint"
    )
    with connection.cursor() as cursor:
        cursor.execute(catalogue)
        present = {name for (name,) in cursor.fetchall()}
        tables = set(connection.introspection.table_names(cursor))
    return [
        name
        for model, guard in guarded()
        if model._meta.db_table in tables
        for name in guard.names(model)
        if name not in present
    ]


def install_after_migrate(*, using: str, app_config: AppConfig, **_: Any) -> None:
    """Receiver of `post_migrate`: that app's guards, on the database just migrated."""
    install(connections[using], app_config.label)


def _verb(name: str) -> str:
    return name.rsplit("_", 1)[1].upper()


def _sqlite_trigger(name: str, event: str, body: str) -> list[str]:
    timing, _, condition = event.partition(" WHEN ")
    when = f" WHEN {condition}" if condition else ""
    return [
        f"DROP TRIGGER IF EXISTS {name}",
        f"CREATE TRIGGER {name} {timing} FOR EACH ROW{when} BEGIN {body} END",
    ]


def _postgres_refusal(name: str, event: str, *, when: str = "") -> str:
    """A trigger that refuses with its own name, as an integrity error (class 23)."""
    condition = f" WHEN {when}" if when else ""
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN RAISE EXCEPTION '{name}' USING ERRCODE = 'restrict_violation'; END $$;"
        f"CREATE OR REPLACE TRIGGER {name} {event} FOR EACH ROW{condition} EXECUTE FUNCTION {name}()"
    )


def _postgres_truncate(table: str) -> str:
    name = f"{table}_no_truncate"
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN RAISE EXCEPTION '{name}' USING ERRCODE = 'restrict_violation'; END $$;"
        f"CREATE OR REPLACE TRIGGER {name} BEFORE TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
    )
