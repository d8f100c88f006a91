"""What stands behind the names of guards and constraints is compared with what the models ask for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from record import audit, catalogue, guards
from record.differences import What
from tests.record.test_guards import EXCLUSIONS, in_catalogue, sql, tried

TABLES = [model._meta.db_table for model in audit.ours()]


def found() -> set[tuple[What, str, str]]:
    return {(each.what, each.kind, each.id) for each in catalogue.differences(connection, TABLES)}


def emptied(name: str, table: str) -> None:
    """The trigger stays under its name and does nothing."""
    if connection.vendor == "sqlite":
        sql(f"DROP TRIGGER {name}")
        sql(f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} BEGIN SELECT 1; END")
    else:
        sql(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")


def triggers() -> list[tuple[str, str]]:
    return [each for each in in_catalogue() if connection.vendor == "sqlite" or is_trigger(each[0])]


def is_trigger(name: str) -> bool:
    return name not in EXCLUSIONS and not name.endswith("_no_overlap_open")


def test_a_migrated_database_is_as_the_models_ask(db: None) -> None:
    assert found() == set()
    assert set(connection.introspection.table_names()) >= set(TABLES), "and nothing is left of what was made to look"


def test_a_trigger_that_does_nothing_any_more_is_named_whichever_it_is(db: None) -> None:
    for name, table in triggers():
        with tried():
            emptied(name, table)
            assert guards.missing(connection) == [], "by name it is still there"
            assert found() == {(What.DEFINITION, table, f"trigger {name}")}


def test_a_trigger_that_watches_less_is_named(db: None) -> None:
    name = "telemarketers_firm_quiet"
    with tried():
        if connection.vendor == "sqlite":
            sql(f"CREATE TRIGGER {name} AFTER INSERT ON telemarketers_firm BEGIN SELECT 1; END")
        else:
            sql(
                f"CREATE TRIGGER {name} BEFORE INSERT ON telemarketers_firm FOR EACH ROW"
                " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            )
        assert found() == {(What.DEFINITION, "telemarketers_firm", f"trigger {name}")}


def dropped_guard() -> tuple[str, str]:
    name, table = "consents_holding_no_overlap", "consents_holding"
    if connection.vendor == "sqlite":
        sql(f"DROP TRIGGER {name}")
        return table, f"trigger {name}"
    sql(f"DROP TRIGGER {name} ON {table}")
    return table, f"trigger {name}"


CHANGES: dict[str, Callable[[], tuple[str, str]]] = {"no-overlap": dropped_guard}

if connection.vendor == "postgresql":

    def altered(table: str, name: str, *statements: str) -> Callable[[], tuple[str, str]]:
        def alter() -> tuple[str, str]:
            for statement in statements:
                sql(f"ALTER TABLE {table} {statement}")
            return table, name

        return alter

    def foreign_key_dropped() -> tuple[str, str]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = 'consents_checksegment'::regclass"
            )
            (name,) = cursor.fetchone()
        sql(f"ALTER TABLE consents_checksegment DROP CONSTRAINT {name}")
        return "consents_checksegment", f"constraint {name}"

    def dropped_exclusion() -> tuple[str, str]:
        name, table = "consents_authorization_no_overlap", "consents_authorization"
        sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        return table, f"constraint {name}"

    def dropped_index() -> tuple[str, str]:
        name = "consents_holding_no_overlap_open"
        sql(f"DROP INDEX {name}")
        return "consents_holding", f"index {name}"

    RUNS = "approval_runs_forwards"
    CHANGES |= {
        "exclusion": dropped_exclusion,
        "unique-index": dropped_index,
        "check-dropped": altered("telemarketers_approval", f"constraint {RUNS}", f"DROP CONSTRAINT {RUNS}"),
        "check-weakened": altered(
            "telemarketers_approval",
            f"constraint {RUNS}",
            f"DROP CONSTRAINT {RUNS}",
            f"ADD CONSTRAINT {RUNS} CHECK (ends >= starts OR id > 0)",
        ),
        "check-not-valid": altered(
            "telemarketers_approval",
            f"constraint {RUNS}",
            f"DROP CONSTRAINT {RUNS}",
            f"ADD CONSTRAINT {RUNS} CHECK ((ends IS NULL) OR (ends >= starts)) NOT VALID",
        ),
        "unique-dropped": altered(
            "consents_allowday",
            "constraint allow_day_is_counted_once",
            "DROP CONSTRAINT allow_day_is_counted_once",
        ),
        "null-let-in": altered("consents_holding", "column number_id", "ALTER number_id DROP NOT NULL"),
        "row-security": altered("record_event", "row security", "ENABLE ROW LEVEL SECURITY"),
        "foreign-key-dropped": foreign_key_dropped,
    }

    @pytest.mark.parametrize("table", ["record_event", "consents_checkrecord", "consents_checkrecord_202601"])
    def test_a_trigger_switched_off_is_named_in_a_partition_too(db: None, table: str) -> None:
        with tried():
            sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            off = {each for each in found() if each[0] == What.SWITCHED_OFF}
        name = f"{table.removesuffix('_202601')}_append_only_update"
        assert (What.SWITCHED_OFF, table, name) in off

    def test_foreign_keys_switched_off_are_named(db: None) -> None:
        with tried():
            sql("ALTER TABLE consents_holding DISABLE TRIGGER ALL")
            assert {each[:2] for each in found()} == {(What.SWITCHED_OFF, "consents_holding")}
            assert len(found()) > 2

    def test_a_rule_that_swallows_deletes_is_named(db: None) -> None:
        with tried():
            sql("CREATE RULE deaf AS ON DELETE TO consents_checkrecord DO INSTEAD NOTHING")
            assert found() == {(What.DEFINITION, "consents_checkrecord", "rule deaf")}

else:

    @pytest.mark.parametrize(
        ("table", "old", "new", "name"),
        [
            ("telemarketers_approval", "OR", "OR id > 0 OR", "constraint approval_runs_forwards"),
            ("telemarketers_firm", "NOT NULL UNIQUE", "NOT NULL", "column credit_code"),
            ("consents_holding", '"number_id" bigint NOT NULL', '"number_id" bigint', "column number_id"),
        ],
    )
    def test_a_table_whose_text_was_changed_is_named(db: None, table: str, old: str, new: str, name: str) -> None:
        with tried():
            sql("PRAGMA writable_schema = ON")
            sql("UPDATE sqlite_master SET sql = replace(sql, %s, %s) WHERE name = %s", old, new, table)
            named = found()
        sql("PRAGMA writable_schema = OFF")
        assert named == {(What.DEFINITION, table, name)}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_definition_is_named(db: None, change: Callable[[], tuple[str, str]]) -> None:
    with tried():
        table, name = change()
        assert (What.DEFINITION, table, name) in found()
