"""The probes: `/healthz` says the process lives, `/readyz` that it can rule, and which part cannot."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from dncregistry import vitals
from record import beat, clock, guards
from tests.world import ALICE, BOB, LOANS_LINE, World

PARTS = ["clock", "keys", "guards", "policy", "partitions"]


def test_a_registry_that_can_rule_is_ready(w: World, client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["parts"] == dict.fromkeys(PARTS, "ok")


def test_without_a_policy_it_is_not(db: None, client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    assert answer.json()["parts"] == {**dict.fromkeys(PARTS, "ok"), "policy": "none in force"}


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


# --- what is measured ----------------------------------------------------------------------------------


def scrape(client: Client, settings: Settings) -> dict[str, float]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {settings.METRICS_TOKEN}"})
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        sample.name + "".join(f" {value}" for _name, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_answers_are_counted_by_reason_and_statements_timed(all_day: World, client: Client, settings: Settings) -> None:
    before = scrape(client, settings)
    asked = {"caller": LOANS_LINE, "purpose": "loan_finance", "channel": "voice"}
    for path, callees in (("checks", {"callee": ALICE.e164}), ("checks/batch", {"callees": [BOB.e164, "12345"]})):
        answer = client.post(
            f"/api/v1/{path}",
            {**asked, **callees},
            content_type="application/json",
            headers={"Authorization": f"Bearer {all_day.key}"},
        )
        assert answer.status_code == 200
    after = scrape(client, settings)

    def gained(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert gained("dnc_answers_total live no_authorization block") == 2
    assert gained("dnc_answers_total live invalid_number block") == 1
    assert gained("dnc_group_size_count") == 2
    assert gained("dnc_group_size_sum") == 3
    for statement in ("clock", "credential", "names", "facts", "record", "allow_days"):
        assert gained(f"dnc_statement_seconds_count {statement}") == 2
        assert gained(f"dnc_statement_seconds_sum {statement}") > 0


def test_questions_without_an_answer_are_counted(w: World, client: Client, settings: Settings) -> None:
    """No policy of the world permits calls from a firm whose clock is behind: the record has a check of the future."""
    before = scrape(client, settings)["dnc_unanswered_total"]
    w.ask(at=datetime.now(UTC) + timedelta(seconds=5))
    asked = {"callee": ALICE.e164, "caller": LOANS_LINE, "purpose": "loan_finance", "channel": "voice"}
    headers = {"Authorization": f"Bearer {w.key}"}
    assert client.post("/api/v1/checks", asked, content_type="application/json", headers=headers).status_code == 503
    assert scrape(client, settings)["dnc_unanswered_total"] == before + 1


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic abc"}])
def test_nobody_reads_the_measures_without_the_token(client: Client, db: None, header: dict[str, str]) -> None:
    assert client.get("/metrics", headers=header).status_code == 401


def test_without_a_token_nobody_reads_them(client: Client, db: None, settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401


def test_every_vital_sign_is_told_with_its_threshold(w: World, client: Client, settings: Settings) -> None:
    beat.take("a beat", at=clock.now())
    told = client.get("/readyz").json()["vitals"]
    assert set(told) == set(vitals.VITALS)
    for name, vital in vitals.VITALS.items():
        assert {"most": vital.most, "least": vital.least}[next(iter(set(told[name]) - {"value", "state"}))] is not None
    scraped = scrape(client, settings)
    assert {f"dnc_{name}" for name in vitals.VITALS} <= set(scraped)


def test_a_sign_past_its_threshold_says_so_and_leaves_the_registry_ready(
    w: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = replace(vitals.VITALS["clock_difference_seconds"], most=-1)
    monkeypatch.setitem(vitals.VITALS, "clock_difference_seconds", strict)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["vitals"]["clock_difference_seconds"]["state"] == "look"
    assert answer.json()["vitals"]["partitions_ahead"]["state"] == "ok"


def test_what_cannot_be_measured_is_bad() -> None:
    assert vitals.Vital("", lambda _: None, most=1).is_bad(None)
    assert vitals.Vital("", lambda _: None, least=1).is_bad(0.5)
    assert not vitals.Vital("", lambda _: None, least=1).is_bad(1)
    assert not vitals.Vital("", lambda _: None, most=1).is_bad(1)
    assert vitals.Vital("", lambda _: None, most=1).is_bad(1.5)


def test_operations_documents_every_vital_sign_with_its_threshold() -> None:
    text = (Path(django_settings.BASE_DIR) / "docs" / "operations.md").read_text(encoding="utf-8")
    for name, vital in vitals.VITALS.items():
        bound = f"over {vital.most:g}" if vital.most is not None else f"under {vital.least:g}"
        assert re.search(rf"^\| `{name}` \| [^|]+ \| {bound} \|", text, re.MULTILINE), name
