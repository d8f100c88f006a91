"""A database that is frozen, dead, slow or full: doors answer in time that they cannot rule, and recover (law 3)."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from tests.served import Served, served
from tests.throwaway_postgres import Cluster, programs, throwaway_postgres

own_process = [pytest.mark.slow, pytest.mark.own_process]

# The deadline is 1 second. What comes on top is this machine's, which may be busy with other tests.
IN_TIME = 2.5


class Told(NamedTuple):
    status: int
    code: str
    seconds: float


def ask(registry: Served) -> Told:
    """A check about a loan, from the demonstration's firm."""
    began = time.monotonic()
    status, answer = registry.check("138 0013 8000", "loan_finance")
    return Told(status, answer.get("code") or answer["reason"], time.monotonic() - began)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    bin_folder = programs()
    assert bin_folder is not None, "PostgreSQL is not on this machine (Debian: apt install postgresql)"
    with throwaway_postgres(bin_folder) as started:
        yield started


@pytest.fixture(scope="module")
def registry(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as maintenance:
        maintenance.execute("CREATE DATABASE registry")
    with served(tmp_path_factory.mktemp("var"), DATABASE_URL=cluster.url) as started:
        yield started


def recovers(registry: Served) -> bool:
    """Within some seconds and without a restart."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if ask(registry).status == 200:
            return True
        time.sleep(0.1)
    return False


class TestPostgreSQL:
    pytestmark = own_process

    def test_frozen(self, cluster: Cluster, registry: Served) -> None:
        assert ask(registry).status == 200
        frozen = cluster.processes()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            first = ask(registry)
            with ThreadPoolExecutor(8) as pool:
                crowd = list(pool.map(lambda _: ask(registry), range(16)))
            began = time.monotonic()
            ready = registry.get("/readyz")
            lives = registry.get("/healthz")
            probed_in = time.monotonic() - began
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)

        assert (first.status, first.code) == (503, "cannot_rule")
        assert 0.9 < first.seconds < IN_TIME
        assert {(told.status, told.code) for told in crowd} == {(503, "cannot_rule")}
        # The breaker is open: nobody waits in turn for a deadline each.
        assert max(told.seconds for told in crowd) < IN_TIME
        assert (ready[0], lives[0]) == (503, 200)
        assert probed_in < IN_TIME
        assert recovers(registry)

    def test_slow(self, cluster: Cluster, registry: Served) -> None:
        with psycopg.connect(cluster.conninfo()) as other:
            other.execute("LOCK TABLE consents_registration IN ACCESS EXCLUSIVE MODE")
            told = ask(registry)
        assert (told.status, told.code) == (503, "cannot_rule")
        assert told.seconds < IN_TIME
        assert recovers(registry)
        # The server has given up too what nobody waits for.
        with psycopg.connect(cluster.conninfo()) as other:
            waiting = other.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone()
        assert waiting == (0,)

    def test_dead(self, cluster: Cluster, registry: Served) -> None:
        cluster.kill()
        told = [ask(registry) for _time in range(3)]
        cluster.start()

        assert {(one.status, one.code) for one in told} == {(503, "cannot_rule")}
        assert max(one.seconds for one in told) < IN_TIME
        assert recovers(registry)

    def test_full(self, cluster: Cluster, registry: Served) -> None:
        """No file may grow past 16 MB, and the check records' has: the server reports it as it does a full disk."""
        assert ask(registry).status == 200
        with psycopg.connect(cluster.conninfo(), autocommit=True) as other:
            other.execute(BALLAST)
            other.execute("CHECKPOINT")
        cluster.kill()
        cluster.start(largest_file=WAL_SEGMENT)
        assert recovers(registry)
        # What fits into the pages that are there is still recorded, and only then answered.
        told = [ask(registry) for _time in range(60)]
        cluster.kill()
        cluster.start()

        assert {(one.status, one.code) for one in told} <= {(503, "cannot_rule"), (200, "no_authorization")}
        assert told[-1].status == 503
        assert max(one.seconds for one in told) < IN_TIME
        assert recovers(registry)


WAL_SEGMENT = 16 * 2**20  # bytes
SMALL = 64 * 2**10  # bytes

BALLAST = """
INSERT INTO consents_checkrecord
SELECT (jsonb_populate_record(one.record, jsonb_build_object(
    'id', left((one.record).id::text, 24) || lpad(to_hex(line), 12, '0'), 'caller', repeat('9', 24)
))).* FROM (SELECT record FROM consents_checkrecord AS record LIMIT 1) AS one, generate_series(1, 100000) AS line
"""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("var")) as started:
        yield started


@pytest.fixture
def file(embedded: Served) -> Path:
    return Path(embedded.environment["VAR_DIR"]) / "registry.sqlite3"


class TestSQLite:
    pytestmark = own_process

    def test_slow(self, embedded: Served, file: Path) -> None:
        """Somebody else is writing, and does not come to an end."""
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        first = ask(embedded)
        with ThreadPoolExecutor(8) as pool:
            crowd = list(pool.map(lambda _: ask(embedded), range(16)))
        other.execute("ROLLBACK")
        other.close()

        assert (first.status, first.code) == (503, "cannot_rule")
        assert 0.9 < first.seconds < IN_TIME
        assert {(told.status, told.code) for told in crowd} == {(503, "cannot_rule")}
        assert max(told.seconds for told in crowd) < IN_TIME
        assert recovers(embedded)

    def test_a_caller_that_stalls_in_its_body_locks_nobody_out(self, embedded: Served) -> None:
        head = (
            f"POST /api/v1/checks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {embedded.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 200\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", embedded.port)) as stalled:
            stalled.sendall(head.encode() + b'{"callee": ')
            time.sleep(0.5)
            embedded.manage("register", "137 0013 7000")  # it writes, although the caller has a key and has begun
        assert recovers(embedded)

    def test_dead(self, embedded: Served, file: Path) -> None:
        """The file is damaged while the registry runs."""
        other = sqlite3.connect(file)
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        kept = file.read_bytes()
        with file.open("r+b") as damaged:
            damaged.write(b"\0" * 100)
        told = ask(embedded)
        with file.open("r+b") as mended:
            mended.write(kept[:100])

        assert (told.status, told.code) == (503, "cannot_rule")
        assert told.seconds < IN_TIME
        assert recovers(embedded)

    def test_full(self, embedded: Served) -> None:
        """No file of the registry's may grow past 64 KB, which SQLite meets as it does a full disk."""
        servers = embedded.processes()
        for pid in servers:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))
        told = [ask(embedded) for _time in range(60)]
        for pid in servers:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        assert {(one.status, one.code) for one in told} <= {(503, "cannot_rule"), (200, "no_authorization")}
        assert told[-1].status == 503
        assert max(one.seconds for one in told) < IN_TIME
        assert recovers(embedded)
