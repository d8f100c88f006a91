"""Migrations run forward, back and forward again, on both databases, with a lived-in registry in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.apps import apps

from tests.served import environment_in, manage
from tests.throwaway_postgres import programs, throwaway_postgres

pytestmark = [pytest.mark.slow, pytest.mark.own_process]

# Upper rooms first: their tables point at the lower ones'.
OURS = ("consents", "telemarketers", "record")
ROWS = ("record.Event", "consents.Registration", "consents.Authorization", "consents.CheckRecord", "record.Number")


@pytest.fixture(params=["sqlite", "postgresql"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield environment_in(tmp_path)
        return
    bin_folder = programs()
    assert bin_folder is not None, "PostgreSQL is not on this machine (Debian: apt install postgresql)"
    with throwaway_postgres(bin_folder) as cluster:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as maintenance:
            maintenance.execute("CREATE DATABASE registry")
        yield environment_in(tmp_path, DATABASE_URL=cluster.url)


def counted(environment: dict[str, str]) -> dict[str, int]:
    program = (
        "import json; from django.apps import apps\n"
        f"print(json.dumps({{name: apps.get_model(name).objects.count() for name in {ROWS}}}))"
    )
    rows: dict[str, int] = json.loads(manage(environment, "shell", "--no-imports", "--command", program))
    return rows


def is_sound(environment: dict[str, str]) -> None:
    manage(environment, "check", "--database", "default", "--fail-level", "WARNING")


def test_forward_back_and_forward(environment: dict[str, str]) -> None:
    assert {app for app in apps.app_configs if app in OURS} == set(OURS)
    manage(environment, "migrate", "--verbosity", "0")
    manage(environment, "demo", "--registrations", "50")
    manage(environment, "authorize", "138 0013 8000", "--firm", "91110000MA0000001L", "--matter", "spring-loan")
    before = counted(environment)
    assert before["record.Event"] > 100

    for app in OURS:
        manage(environment, "migrate", app, "0001", "--verbosity", "0")
    manage(environment, "migrate", "--verbosity", "0")
    is_sound(environment)
    after = counted(environment)
    # What got a new form, and went back to the former one, tells so by events of its own.
    assert after.pop("record.Event") >= before.pop("record.Event")
    assert after == before
    manage(environment, "revoke", "138 0013 8000")
    manage(environment, "audit_record")

    for app in OURS:
        manage(environment, "migrate", app, "zero", "--verbosity", "0")
    manage(environment, "migrate", "--verbosity", "0")
    is_sound(environment)
    assert set(counted(environment).values()) == {0}
    manage(environment, "demo", "--registrations", "5")
