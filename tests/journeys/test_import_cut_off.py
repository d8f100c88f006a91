"""An import that is killed, interrupted and started again, as an operator would see it, on both databases."""

from __future__ import annotations

import csv
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.running import wait_for
from tests.served import ROOT, environment_in
from tests.throwaway_postgres import ROLE, programs, throwaway_postgres

LINES = 100_000
REFUSED = [*range(1, LINES + 1, 1_000)]  # junk stands there instead of a number

pytestmark = [pytest.mark.slow, pytest.mark.own_process]

Ask = Callable[[str], list[tuple[int, ...]]]


class Place:
    """A registry of its own: a folder, and the database of which `ask` asks."""

    def __init__(self, folder: Path, database_url: str, ask: Ask) -> None:
        self.ask = ask
        self.is_server = bool(database_url)
        self.file = folder / "export.txt"
        self.report = folder / "export.txt.refused.csv"
        database = {"DATABASE_URL": database_url} if database_url else {}
        self.environment = environment_in(folder / "var", **database)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        told, _none = self.start(*arguments).communicate(timeout=120)
        return told

    def lines_done(self) -> int:
        return sum(lines for (lines,) in self.ask("SELECT lines FROM consents_registrationimport"))

    def count(self, table: str) -> int:
        ((rows,),) = self.ask(f"SELECT COUNT(*) FROM {table}")
        return rows


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        database = tmp_path / "var" / "registry.sqlite3"

        def ask(query: str) -> list[tuple[int, ...]]:
            with closing(sqlite3.connect(database, timeout=30)) as connection:
                return connection.execute(query).fetchall()

        yield Place(tmp_path, "", ask)
        return
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not on this machine")
    with throwaway_postgres(folder) as cluster:
        subprocess.run([folder / "createdb", "-h", cluster.folder, "-U", ROLE, "registry"], check=True, timeout=60)

        def ask(query: str) -> list[tuple[int, ...]]:
            with psycopg.connect(host=str(cluster.folder), user=ROLE, dbname="registry") as connection:
                return connection.execute(query).fetchall()

        yield Place(tmp_path, cluster.url, ask)


def ended_after_a_chunk(place: Place, by: signal.Signals) -> str:
    """Starts the import and ends it as soon as it has got further than it was."""
    before = place.lines_done()
    process = place.start("import_registrations", str(place.file))
    deadline = time.monotonic() + 60
    while place.lines_done() == before:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(by)
    told, _none = process.communicate(timeout=60)
    assert process.returncode != 0, "it was done before it could be cut off"
    if place.is_server:  # it may still be at a commit that nobody waits for any more
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'registry' AND pid <> pg_backend_pid()"
        wait_for(lambda: place.ask(others) == [(0,)], within=20)
    return told


def test_killed_interrupted_and_started_again_it_ends_as_if_it_had_not_been(place: Place) -> None:
    place.run("migrate", "-v0")
    texts = ["junk" if line in set(REFUSED) else f"138{line:08}" for line in range(1, LINES + 1)]
    place.file.write_text("\n".join(texts))

    for _ in range(3):
        ended_after_a_chunk(place, signal.SIGKILL)
        done = place.count("consents_registration")
        assert place.count("consents_holding") == done
        assert place.count("record_event") == 2 * done
        assert place.lines_done() - len([line for line in REFUSED if line <= place.lines_done()]) == done
    told = ended_after_a_chunk(place, signal.SIGINT)
    assert "the same command goes on from here" in told
    assert "Traceback" not in told

    told = place.run("import_registrations", str(place.file))
    assert f"added: {LINES - len(REFUSED):,}\nalready there: 0\nrefused: {len(REFUSED)}" in told
    assert place.count("consents_registration") == LINES - len(REFUSED)
    assert place.count("record_event") == 2 * (LINES - len(REFUSED))
    with place.report.open(newline="") as report:
        assert [int(row["line"]) for row in csv.DictReader(report)] == REFUSED
    assert "imported before" in place.run("import_registrations", str(place.file))
    assert place.count("record_event") == 2 * (LINES - len(REFUSED))
