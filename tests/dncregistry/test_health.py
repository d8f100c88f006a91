"""The probes: `/healthz` says the process lives, `/readyz` that it can rule, and which part cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from record import guards
from tests.world import World

PARTS = ["clock", "keys", "guards", "policy", "partitions"]


def test_a_registry_that_can_rule_is_ready(w: World, client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "parts": dict.fromkeys(PARTS, "ok")}


def test_without_a_policy_it_is_not(db: None, client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "parts": {**dict.fromkeys(PARTS, "ok"), "policy": "none in force"}}


def test_without_a_guard_it_is_not(w: World, client: Client) -> None:
    with connection.cursor() as cursor:
        on = " ON record_event" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER record_event_append_only_update{on}")
    assert guards.missing(connection) == ["record_event_append_only_update"]

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["parts"]["guards"] == "missing: record_event_append_only_update"


def test_without_keys_it_is_not(w: World, client: Client, settings: Settings, tmp_path: Path) -> None:
    settings.KEYS_DIR, settings.EMBEDDED = tmp_path, False
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["parts"]["keys"] == "ImproperlyConfigured"
    assert str(tmp_path) not in answer.content.decode()


@pytest.mark.parametrize(
    ("table", "parts"), [("telemarketers_policy", ["policy"]), ("record_event", ["clock", "policy", "partitions"])]
)
def test_a_failing_table_is_named_by_its_part_alone(w: World, client: Client, table: str, parts: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO out_of_reach")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    said = answer.json()["parts"]
    assert all(said[part] != "ok" for part in parts)
    assert "SELECT" not in json.dumps(said)
    assert table not in json.dumps({part: said[part] for part in parts})


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_can_ask_for_the_head_alone(w: World, client: Client, path: str) -> None:
    answer = client.head(path)

    assert (answer.status_code, answer.content) == (200, b"")


def test_the_process_lives_without_a_database(client: Client) -> None:
    # No database is open to this test.
    assert client.get("/healthz").json() == {"status": "ok"}


def test_probes_ask_over_plain_http(w: World, client: Client, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True

    # The middleware reads its settings once, so it needs a client of its own.
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/readyz").status_code == 200
    assert Client().get("/api/v1/callers/95588").status_code == 301
