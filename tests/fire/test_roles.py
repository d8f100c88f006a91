"""Two database roles, and what production refuses to start with: on a real server, as the application's role."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.throwaway_postgres import DURABLE, Cluster, programs, throwaway_postgres

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.own_process]

Manage = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """With the two roles made as docs/operations.md says."""
    bin_folder = programs()
    assert bin_folder is not None, "PostgreSQL is not on this machine (Debian: apt install postgresql)"
    with throwaway_postgres(bin_folder, DURABLE) as started:
        with psycopg.connect(started.conninfo("postgres"), autocommit=True) as maintenance:
            maintenance.execute("CREATE ROLE registry_owner LOGIN")
            maintenance.execute("CREATE ROLE registry_app LOGIN")
            maintenance.execute("CREATE DATABASE registry OWNER registry_owner")
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("production")


@pytest.fixture(scope="module")
def environment(cluster: Cluster, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return kept | {
        "LANG": "C.UTF-8",
        "DNC_PROFILE": "production",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "KEYS_DIR": str(folder / "keys"),
        "VAR_DIR": str(folder / "var"),
        "DATABASE_URL": url(cluster, "registry_app"),
        "DATABASE_APP_ROLE": "registry_app",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "ALLOWED_HOSTS": "registry.example",
        "RECEIPT_ISSUER": "https://registry.example",
        "SMS_GATEWAY_URL": "https://sms.example/send",
        "SMS_GATEWAY_TOKEN": secrets.token_urlsafe(20),
    }


@pytest.fixture(scope="module")
def manage(cluster: Cluster, environment: dict[str, str]) -> Manage:
    """Runs a command as the application, or as somebody else; the database is migrated by its owner."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    for command in (["make_keys"], ["migrate", "--verbosity", "0"], ["publish_policy", "china", "--name", "china-1"]):
        done = run(*command, DATABASE_URL=url(cluster, "registry_owner"))
        assert done.returncode == 0, done.stderr
    return run


def url(cluster: Cluster, role: str) -> str:
    return f"postgres://{role}@/{cluster.folder}/registry"


def refusal(manage: Manage, **variables: str) -> str:
    done = manage("check", "--deploy", "--database", "default", "--fail-level", "WARNING", **variables)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_the_applications_role_is_enough_to_serve(manage: Manage) -> None:
    checked = manage("check", "--deploy", "--database", "default", "--fail-level", "WARNING")
    assert checked.returncode == 0, checked.stderr
    for command in (
        ["register", "138 0013 8000"],
        ["register", "139 0013 9000", "--purpose", "retail"],
        ["revoke", "138 0013 8000"],
        ["make_partitions"],
    ):
        done = manage(*command)
        assert done.returncode == 0, (command, done.stderr)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record_event SET verb = 'firm.approved'",
        "DELETE FROM record_event",
        "TRUNCATE record_event",
        "ALTER TABLE record_event DISABLE TRIGGER ALL",
        "DROP TRIGGER record_event_append_only_update ON record_event",
        "CREATE OR REPLACE FUNCTION record_event_append_only_update() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NEW; END'",
        "SET session_replication_role = replica",
        "ALTER TABLE telemarketers_sanction DROP CONSTRAINT sanction_is_decided_by_two_people",
        "DELETE FROM consents_registration",
        "DELETE FROM consents_checkrecord",
        "UPDATE telemarketers_policy SET version = 'mine'",
        "CREATE TABLE mine ()",
        f"DROP TABLE consents_checkrecord_{datetime.now(UTC):%Y%m}",
        "SELECT record_make_partition('record_event', '2027-01-01')",
        "SELECT record_drop_partition('consents_checkrecord', date_trunc('month', now())::date)",
    ],
)
def test_the_applications_role_cannot_switch_a_law_off(manage: Manage, cluster: Cluster, statement: str) -> None:
    as_app = cluster.conninfo().replace("user=registry", "user=registry_app")
    # Events are out of reach by right; what functions of the owner's refuse, they refuse with a word of their own.
    refusal: Any = errors.InsufficientPrivilege
    if statement.startswith("SELECT record_"):
        refusal = (errors.RaiseException, errors.RestrictViolation)
    with psycopg.connect(as_app, autocommit=True) as app, pytest.raises(refusal):
        app.execute(statement)


def test_the_owner_does_not_serve(manage: Manage, cluster: Cluster) -> None:
    said = refusal(manage, DATABASE_URL=url(cluster, "registry_owner"))
    assert "The database role may do too much" in said
    assert "UPDATE on record_event" in said


def test_a_superuser_does_not_serve(manage: Manage, cluster: Cluster) -> None:
    assert "The database role is a superuser." in refusal(manage, DATABASE_URL=cluster.url)


@pytest.mark.parametrize("secret", ["short", "a" * 60, "abcabcabc" * 7], ids=["short", "one-letter", "three-letters"])
def test_a_weak_secret_does_not_serve(manage: Manage, secret: str) -> None:
    assert "SECRET_KEY is weak." in refusal(manage, SECRET_KEY=secret)


def test_a_lost_guard_does_not_serve(manage: Manage, cluster: Cluster) -> None:
    with psycopg.connect(cluster.conninfo(), autocommit=True) as owner:
        owner.execute("DROP TRIGGER record_event_append_only_delete ON record_event")
        said = refusal(manage)
        assert manage("migrate", "--verbosity", "0", DATABASE_URL=url(cluster, "registry_owner")).returncode == 0
    assert "record_event_append_only_delete" in said
    assert manage("check", "--deploy", "--database", "default", "--fail-level", "WARNING").returncode == 0


def test_commits_that_may_be_lost_do_not_serve(manage: Manage, cluster: Cluster) -> None:
    with psycopg.connect(cluster.conninfo(), autocommit=True) as owner:
        owner.execute("ALTER ROLE registry_app SET synchronous_commit = off")
        said = refusal(manage)
        owner.execute("ALTER ROLE registry_app RESET synchronous_commit")
    assert "PostgreSQL runs with synchronous_commit off." in said


def test_a_server_that_does_not_sync_does_not_serve(manage: Manage, cluster: Cluster) -> None:
    cluster.kill()
    cluster.settings = {**DURABLE, "fsync": "off"}
    cluster.start()
    said = refusal(manage)
    cluster.kill()
    cluster.settings = DURABLE
    cluster.start()
    assert "PostgreSQL runs with fsync off." in said


@pytest.mark.parametrize("command", ["serve"])
def test_the_server_says_so_and_ends(manage: Manage, cluster: Cluster, command: str) -> None:
    done = manage(command, DATABASE_URL=cluster.url)
    assert done.returncode == 1
    assert "The database role is a superuser." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_out_of_reach_is_named(manage: Manage) -> None:
    done = manage("serve", DATABASE_URL="postgres://registry_app@127.0.0.1:1/registry")
    assert done.returncode == 1
    assert "The database cannot be asked. Look at DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_web_server_refuses_too_when_started_by_itself(manage: Manage, environment: dict[str, str]) -> None:
    """Whoever starts another WSGI server than `serve` does is told the same."""
    done = subprocess.run(
        [sys.executable, "-c", "import dncregistry.wsgi"],
        cwd=ROOT,
        env=environment | {"SECRET_KEY": "short"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "SECRET_KEY is weak." in done.stderr
