"""Every key changes while firms ask without pause: each answer is what it must be, and each receipt verifies.

A real server with two web processes, once on SQLite and once on PostgreSQL; clients that check single numbers and
batches; a citizen after another who registers and must be obeyed at once. The move of numbers is killed midway.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event as Flag
from typing import Any

import httpx
import psycopg
import pytest

from consents import receipts
from consents.management.commands import demo
from record.numbers import PhoneNumber
from tests.served import ROOT, Served, served
from tests.throwaway_postgres import programs, throwaway_postgres

pytestmark = [pytest.mark.slow, pytest.mark.own_process]

REGISTERED, KNOWN, UNKNOWN = 3_000, 3_000, 1_000
NUMBERS = list(demo.numbers(REGISTERED + KNOWN + UNKNOWN))

# Numbers that the registry has met without anything having been said about them: an ended holding leaves such.
KNOW = """
from django.db import transaction
from consents import bulk
from consents.management.commands import demo
with transaction.atomic():
    bulk._meet_all(list(demo.numbers({until}))[{since}:])
"""
# Citizens one after the other; each is named once what they said is committed.
CITIZENS = """
import sys, time
import django; django.setup()
from django.db import transaction
from consents import actions
from consents.terms import HoldingSource
from record import clock
from record.ledger import OPERATOR
from record.numbers import PhoneNumber
for line in sys.stdin:
    number = PhoneNumber(line.strip())
    with transaction.atomic():
        at = clock.now()
        holding = actions.hold(number=number, source=HoldingSource.OPERATOR, by=OPERATOR, at=at)
        actions.register(holding=holding, by=OPERATOR, at=at)
    print(number.e164, flush=True)
"""


@dataclass
class Registry:
    """The server, a firm's key, and a way to look into its database from outside."""

    server: Served
    query: Callable[[str], list[Any]]
    over: Flag = field(default_factory=Flag)

    @property
    def keys(self) -> Path:
        return self.server.folder / "keys"

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.server.port}",
            headers={"authorization": f"Bearer {self.server.key}"},
            timeout=20,
        )

    def moved(self) -> int:
        return int(self.query("SELECT count(*) FROM record_number WHERE key = 2")[0][0])


def sqlite_query(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path, timeout=10)) as database:
        return database.execute(sql).fetchall()


def postgres_query(url: str, sql: str) -> list[Any]:
    with psycopg.connect(url) as database:
        return database.execute(sql).fetchall()


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    limits = {"RATE_LIMIT_CHECKS": "100000000", "RATE_LIMIT_BATCH_NUMBERS": "100000000", "WEB_WORKERS": "2"}
    folder = tmp_path / "var"
    if request.param == "sqlite":
        path = folder / "registry.sqlite3"
        with served(folder, **limits) as server:
            yield from with_numbers(Registry(server, lambda sql: sqlite_query(path, sql)))
        return
    bin_folder = programs()
    assert bin_folder is not None, "PostgreSQL is not on this machine (Debian: apt install postgresql)"
    with throwaway_postgres(bin_folder) as cluster:
        with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as database:
            database.execute("CREATE DATABASE registry")
        with served(folder, DATABASE_URL=cluster.url, **limits) as server:
            yield from with_numbers(Registry(server, lambda sql: postgres_query(cluster.conninfo(), sql)))


def with_numbers(registry: Registry) -> Iterator[Registry]:
    registry.server.manage("demo", "--registrations", str(REGISTERED))
    registry.server.manage("shell", script=KNOW.format(since=REGISTERED, until=REGISTERED + KNOWN))
    try:
        yield registry
    finally:
        registry.over.set()


# --- the traffic ----------------------------------------------------------------------------------------------


def expected(index: int) -> str:
    return "block registered" if index < REGISTERED else "allow not_registered"


def ask(client: httpx.Client, path: str, **asked: Any) -> dict[str, Any]:
    """The answer, once its receipt was verified with keys that were published before it was asked for."""
    published = client.get("/.well-known/jwks.json").json()
    body = {"caller": demo.CALLER, "purpose": "retail", "channel": "voice", **asked}
    response = client.post(path, json=body)
    for _again in range(20):  # a busy registry may say that it cannot rule; never anything else but the truth
        if response.status_code != 503:
            break
        assert response.json()["code"] == "cannot_rule"
        response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert receipts.verify(answer["receipt"], published)["jti"] == answer["id"]
    return answer


def singles(registry: Registry, seed: int) -> int:
    random, asked = Random(seed), 0
    with registry.client() as client:
        while not registry.over.is_set():
            index = random.randrange(len(NUMBERS))
            answer = ask(client, "/api/v1/checks", callee=NUMBERS[index].e164)
            assert f"{answer['verdict']} {answer['reason']}" == expected(index)
            asked += 1
    return asked


def batches(registry: Registry, seed: int) -> int:
    random, asked = Random(seed), 0
    with registry.client() as client:
        while not registry.over.is_set():
            some = random.sample(range(len(NUMBERS)), 100)
            answer = ask(client, "/api/v1/checks/batch", callees=[NUMBERS[index].e164 for index in some])
            told = [f"{row['verdict']} {row['reason']}" for row in answer["results"]]
            assert told == [expected(index) for index in some]
            asked += 1
    return asked


def citizens(registry: Registry) -> int:
    """Registers new numbers and asks about each at once: before it is allowed, from then on it is blocked."""
    program = subprocess.Popen(
        [sys.executable, "-c", CITIZENS],
        cwd=ROOT,
        env={**registry.server.environment, "DJANGO_SETTINGS_MODULE": "dncregistry.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    registered: list[str] = []
    try:
        assert program.stdin is not None and program.stdout is not None
        with registry.client() as client:
            while not registry.over.is_set():
                number = PhoneNumber(f"+86147{len(registered):08}").e164
                before = ask(client, "/api/v1/checks", callee=number)
                program.stdin.write(f"{number}\n")
                program.stdin.flush()
                assert program.stdout.readline().strip() == number
                registered.append(number)
                after = ask(client, "/api/v1/checks/batch", callees=registered[-50:])
                assert (before["verdict"], before["reason"]) == ("allow", "not_registered")
                assert {row["reason"] for row in after["results"]} == {"registered"}
                time.sleep(0.02)
        return len(registered)
    finally:
        program.kill()
        program.communicate(timeout=10)


# --- the keys change --------------------------------------------------------------------------------------------


def test_every_key_changes_under_traffic(registry: Registry) -> None:
    with ThreadPoolExecutor(4) as pool:
        traffic = [
            pool.submit(singles, registry, 1),
            pool.submit(singles, registry, 2),
            pool.submit(batches, registry, 3),
            pool.submit(citizens, registry),
        ]
        try:
            time.sleep(1)
            before = registry.moved()
            registry.server.manage("rotate_outer_key")
            (registry.keys / "outer" / "1.key").unlink()
            kill_midway(registry)
            registry.server.manage("rotate_number_key")
            change_receipt_key(registry, traffic)
            time.sleep(1)
        finally:
            registry.over.set()
        asked = [each.result(timeout=60) for each in traffic]
    print(f"\nanswered while keys changed: singles {asked[0] + asked[1]}, batches {asked[2]}, citizens {asked[3]}")
    assert before == 0
    assert min(asked) > 5
    assert registry.query("SELECT DISTINCT key FROM record_number") == [(2,)]
    assert registry.query("SELECT id FROM record_keyinuse WHERE ends IS NULL") == [(2,)]
    (rows,) = registry.query("SELECT count(*) FROM record_number")
    assert rows == (REGISTERED + KNOWN + asked[3],)
    with registry.client() as client:
        receipt = ask(client, "/api/v1/checks", callee=NUMBERS[0].e164)["receipt"]
    assert key_id(receipt) == "live-2"


def kill_midway(registry: Registry) -> None:
    """Kills the move of numbers, as `kill -9` does, when some have moved and some have not."""
    moving = subprocess.Popen(
        [sys.executable, "manage.py", "rotate_number_key"],
        cwd=ROOT,
        env=registry.server.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not registry.moved() and time.monotonic() < deadline:
            assert moving.poll() is None
            time.sleep(0.005)
        os.kill(moving.pid, signal.SIGSTOP)
        assert 0 < registry.moved() < REGISTERED + KNOWN
    finally:
        moving.kill()
        moving.wait(10)


def change_receipt_key(registry: Registry, traffic: list[Future[int]]) -> None:
    registry.server.manage("rotate_receipt_key")
    waiting = registry.keys / "receipt" / "live-2.next.pem"
    an_hour_ago = time.time() - 3601
    os.utime(waiting, (an_hour_ago, an_hour_ago))
    registry.server.manage("rotate_receipt_key")
    assert sorted(path.name for path in waiting.parent.iterdir()) == ["live-1.pub.pem", "live-2.pem"]
    assert not any(each.done() for each in traffic), "traffic ended early"


def key_id(receipt: str) -> str:
    header = receipt.partition(".")[0]
    named: dict[str, str] = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    return named["kid"]
