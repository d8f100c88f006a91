"""Does the database still hold to what the models ask of it?

`record/guards.py` looks whether each guard is there by name, which is cheap. This looks at what is behind the names:
columns, constraints, triggers and their functions. The same tables are made anew beside the real ones (on SQLite in
memory, on PostgreSQL in a schema that is rolled back), and the database itself says how it spells both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from django.apps import apps
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from record import guards
from record.differences import Difference, What

SCRATCH: Final = "dnc_audit"

# (table, what it is and its name) → how the database defines it.
Definitions = dict[tuple[str, str], str]


def differences(connection: BaseDatabaseWrapper, tables: list[str]) -> Iterator[Difference]:
    """Not inside a snapshot: on PostgreSQL it makes tables, and takes them back."""
    if connection.vendor == "sqlite":
        found, asked = _sqlite_definitions(connection, tables), _sqlite_asked(connection, tables)
    else:
        with transaction.atomic(using=connection.alias):
            found, asked = _postgres_definitions(connection, tables), _postgres_asked(connection, tables)
            yield from _switched_off(connection, tables)
            transaction.set_rollback(True, using=connection.alias)
    for table, name in sorted(found.keys() | asked.keys()):
        of = table, name
        if found.get(of) != asked.get(of):
            yield Difference(What.DEFINITION, table, name, recorded=asked.get(of), found=found.get(of))


def _make_anew(connection: BaseDatabaseWrapper) -> None:
    with connection.schema_editor(atomic=False) as editor:
        for model in apps.get_models():  # each makes the tables between it and others too
            editor.create_model(model)
    guards.install(connection)


# --- SQLite: it keeps every definition as it was written -----------------------------------------------


def _sqlite_asked(connection: BaseDatabaseWrapper, tables: list[str]) -> Definitions:
    scratch = connection.copy("scratch")
    scratch.settings_dict = {**scratch.settings_dict, "NAME": ":memory:"}
    try:
        with scratch.constraint_checks_disabled():
            _make_anew(scratch)
        return _sqlite_definitions(scratch, tables)
    finally:
        scratch.close()


def _sqlite_definitions(connection: BaseDatabaseWrapper, tables: list[str]) -> Definitions:
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        found = [row for row in cursor.fetchall() if row[2] in tables]
    definitions: Definitions = {}
    for kind, name, table, sql in found:
        if kind == "table":
            definitions |= {(table, _name_of(part)): part for part in _parts(sql)}
        elif kind == "trigger" or "UNIQUE" in sql:
            definitions[table, f"{kind} {name}"] = sql
    return definitions


def _parts(sql: str) -> list[str]:
    """The columns and constraints of a CREATE TABLE, in whatever order they stand."""
    body = sql[sql.index("(") + 1 : sql.rindex(")")]
    parts, depth, quote, start = [], 0, "", 0
    for index, letter in enumerate(body):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "," and not depth:
            parts.append(body[start:index])
            start = index + 1
        else:
            depth += {"(": 1, ")": -1}.get(letter, 0)
    return [part.strip() for part in (*parts, body[start:])]


def _name_of(part: str) -> str:
    named = re.match(r'(CONSTRAINT )?"(\w+)"', part)
    if named is None:
        return part
    return f"{'constraint' if named[1] else 'column'} {named[2]}"


# --- PostgreSQL: it spells definitions in its own way --------------------------------------------------

_DEFINITIONS: Final = """
WITH ours AS (
    SELECT c.oid, c.relname FROM pg_class c
    WHERE c.relnamespace = %(schema)s::regnamespace AND c.relname = ANY(%(tables)s)
)
SELECT relname, 'constraint ' || conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN ours ON ours.oid = conrelid
UNION ALL
SELECT relname, 'column ' || attname, format_type(atttypid, atttypmod)
    || CASE WHEN attnotnull THEN ' not null' ELSE '' END
FROM pg_attribute JOIN ours ON ours.oid = attrelid WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT relname, 'trigger ' || tgname, pg_get_triggerdef(t.oid, true) || ' AS ' || prosrc
FROM pg_trigger t JOIN ours ON ours.oid = tgrelid JOIN pg_proc p ON p.oid = tgfoid WHERE NOT tgisinternal
UNION ALL
SELECT relname, 'index ' || i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN ours ON ours.oid = i.indrelid
WHERE indisunique AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = i.indexrelid)
UNION ALL
SELECT relname, 'rule ' || rulename, pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN ours ON ours.oid = ev_class
UNION ALL
SELECT relname, 'row security', 'on' FROM pg_class c JOIN ours USING (oid, relname) WHERE relrowsecurity
"""

_SWITCHED_OFF: Final = """
SELECT tgrelid::regclass::text, tgname FROM pg_trigger
WHERE tgenabled NOT IN ('O', 'A') AND tgrelid IN (
    SELECT c.oid FROM pg_class c LEFT JOIN pg_inherits ON inhrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace
        AND (c.relname = ANY(%(tables)s) OR inhparent::regclass::text = ANY(%(tables)s))
)
ORDER BY 1, 2
"""


def _postgres_asked(connection: BaseDatabaseWrapper, tables: list[str]) -> Definitions:
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (schema,) = cursor.fetchone()
        cursor.execute(f"CREATE SCHEMA {SCRATCH}")
        cursor.execute(f"SET LOCAL search_path = {SCRATCH}, {schema}")
        _make_anew(connection)
        asked = _postgres_definitions(connection, tables)
        transaction.set_rollback(True, using=connection.alias)
    return asked


def _postgres_definitions(connection: BaseDatabaseWrapper, tables: list[str]) -> Definitions:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (schema,) = cursor.fetchone()
        cursor.execute(_DEFINITIONS, {"schema": schema, "tables": tables})
        return {(table, name): sql.replace(f" {schema}.", " ") for table, name, sql in cursor.fetchall()}


def _switched_off(connection: BaseDatabaseWrapper, tables: list[str]) -> list[Difference]:
    """Of a table or of one of its partitions; the database's own triggers, which hold foreign keys, too."""
    with connection.cursor() as cursor:
        cursor.execute(_SWITCHED_OFF, {"tables": tables})
        return [Difference(What.SWITCHED_OFF, table, name) for table, name in cursor.fetchall()]
