"""Production with its Redis frozen or dead: changes are committed at once, and the sweep finds what no message told."""

from __future__ import annotations

import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.running import ROOT, wait_for
from tests.served import manage
from tests.throwaway_redis import Redis, free_port, throwaway_redis

pytestmark = [pytest.mark.slow, pytest.mark.own_process]

# What starting the program takes by itself is measured; beyond it a command may give its message a second.
PATIENCE = 2.5

WORLD = """
from consents import actions
from record.ledger import OPERATOR
from tests import world
world.build(world.START)
person = actions.add_subscriber(by=OPERATOR, at=world.START)
actions.claim(number=world.ALICE, subscriber=person, by=OPERATOR, at=world.START)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with throwaway_redis() as started:
        yield started


@pytest.fixture(scope="module")
def production(server: Redis, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A registry of the production profile with one proved number."""
    folder = tmp_path_factory.mktemp("production")
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
        "PYTHONPATH": str(ROOT),
        "DNC_PROFILE": "production",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "KEYS_DIR": str(folder / "keys"),
        "DATABASE_URL": f"sqlite:///{folder / 'registry.sqlite3'}",
        "ALLOWED_HOSTS": "registry.example",
        "RECEIPT_ISSUER": "https://registry.example",
        "REDIS_URL": server.url,
        "SMS_GATEWAY_URL": f"https://127.0.0.1:{free_port()}/messages",
        "SMS_GATEWAY_TOKEN": "a token",
        "VAR_DIR": str(folder),
    }
    for arguments in (["make_keys"], ["migrate", "-v0"], ["shell", "-v0", "-c", WORLD]):
        manage(environment, *arguments)
    return environment


def timed(environment: dict[str, str], *arguments: str) -> float:
    """Runs a command; returns the seconds it took."""
    began = time.monotonic()
    assert "13800138000" not in manage(environment, *arguments)
    return time.monotonic() - began


def authorize(environment: dict[str, str]) -> float:
    return timed(environment, "authorize", "13800138000", "--firm", "91110000MA0000001L", "--matter", "spring-loan")


def notices(environment: dict[str, str]) -> list[tuple[int, str]]:
    """Attempts and trouble of the notices that something was granted, the latest last."""
    file = environment["DATABASE_URL"].removeprefix("sqlite:///")
    sql = "SELECT attempts, last_error FROM record_notice WHERE kind = 'authorization_granted' ORDER BY made_at"
    with closing(sqlite3.connect(file, timeout=5)) as database:
        return database.execute(sql).fetchall()


@contextmanager
def running(environment: dict[str, str], *arguments: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "celery", "--quiet", "--app", "dncregistry", *arguments],
        cwd=ROOT,
        env=environment,
        process_group=0,
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait(10)


def test_changes_are_committed_without_redis_and_told_when_it_is_back(
    production: dict[str, str], server: Redis
) -> None:
    usual = authorize(production)

    server.freeze()
    try:
        assert authorize(production) < usual + PATIENCE
    finally:
        server.thaw()
    dead = production | {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    assert authorize(dead) < usual + PATIENCE
    assert [attempts for attempts, _trouble in notices(production)] == [0, 0, 0]

    # Whatever messages there were are gone, too. The sweep needs none; the gateway is not there, and that shows.
    with ExitStack() as stack:
        stack.enter_context(running(production, "worker", "--concurrency", "1", "--loglevel", "WARNING"))
        stack.enter_context(running(production, "beat", "--loglevel", "WARNING"))
        wait_for(lambda: notices(production)[-1] == (1, "unreachable"), within=60)


def test_workers_outlive_a_frozen_redis(production: dict[str, str], server: Redis) -> None:
    with ExitStack() as stack:
        stack.enter_context(running(production, "worker", "--concurrency", "1", "--loglevel", "WARNING"))
        stack.enter_context(running(production, "beat", "--loglevel", "WARNING"))
        authorize(production)
        wait_for(lambda: notices(production)[-1][0] == 1, within=60)
        server.freeze()
        time.sleep(4)
        authorize(production)
        server.thaw()
        wait_for(lambda: notices(production)[-1][0] == 1, within=60)
