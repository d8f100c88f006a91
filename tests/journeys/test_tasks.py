"""`make run` looks after what is owed: it is told in the terminal, and whatever is killed, nothing is left running."""

# The fixture `server` comes from the other journeys, and tests name it as an argument.
# ruff: noqa: F811

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from contextlib import closing
from pathlib import Path
from queue import Queue

import pytest

from tests.journeys.test_first_minutes import ROOT, Server, server  # noqa: F401  (`server` is a fixture)
from tests.running import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.own_process]

NUMBER = "138 0013 8000"

PROVE_THE_NUMBER = f"""
from consents import actions
from record import clock
from record.ledger import OPERATOR
from record.numbers import PhoneNumber
at = clock.now()
person = actions.add_subscriber(by=OPERATOR, at=at)
actions.claim(number=PhoneNumber.parse("{NUMBER}"), subscriber=person, by=OPERATOR, at=at)
"""


def manage(server: Server, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lines_of(server: Server) -> Queue[str]:
    """What it prints from now on, line by line."""
    lines: Queue[str] = Queue()

    def read() -> None:
        assert server.process.stdout is not None
        for line in server.process.stdout:
            lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    return lines


def test_who_authorizes_is_told_so_in_the_terminal_in_a_moment(server: Server) -> None:
    server.printed_until_ready()
    printed = lines_of(server)
    manage(server, "shell", "-v0", "-c", PROVE_THE_NUMBER)
    wait_for(lambda: worker_is_up(server), within=30)

    manage(server, "authorize", NUMBER, "--firm", "91110000MA0000001L", "--matter", "spring-loan")

    line = printed.get(timeout=8)  # less than until the next sweep
    assert line.startswith("SMS +86138****8000")
    assert "春季贷款优惠" in line
    assert manage(server, "notices").startswith("2 owed, of which 0 are due and 0 are late; 0 were given up.")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/readyz", timeout=10) as ready:
        vitals = json.load(ready)["vitals"]
    assert vitals["beat_silence_seconds"]["state"] == "ok"  # beat ticks beside a web server that measures


def worker_is_up(server: Server) -> bool:
    """Beat has ticked, and the worker has taken what it sent."""
    folder = Path(server.environment["VAR_DIR"])
    with (
        closing(sqlite3.connect(folder / "registry.sqlite3", timeout=5)) as registry,
        closing(sqlite3.connect(folder / "tasks.sqlite3", timeout=5)) as broker,
    ):
        try:
            (ticked,) = registry.execute("SELECT count(*) FROM record_beatlease").fetchone()
            (waiting,) = broker.execute("SELECT count(*) FROM kombu_message WHERE visible").fetchone()
        except sqlite3.OperationalError:  # no table yet
            return False
    return bool(ticked) and not waiting


def assert_nothing_is_left(server: Server) -> None:
    wait_for(lambda: not server.processes(), within=20)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def children(server: Server) -> dict[str, int]:
    """The web server and the worker, by what they are."""
    found = {}
    for process in server.processes():
        status = Path(f"/proc/{process}/status").read_text()
        command = Path(f"/proc/{process}/cmdline").read_text()
        if f"\nPPid:\t{server.process.pid}\n" in status:
            found["worker" if "celery" in command else "web server"] = process
    return found


def test_it_is_a_web_server_and_a_worker(server: Server) -> None:
    server.printed_until_ready()
    assert set(children(server)) == {"web server", "worker"}


def test_killing_what_started_them_leaves_none_of_them(server: Server) -> None:
    server.printed_until_ready()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(10)
    assert_nothing_is_left(server)


def test_closing_the_terminal_ends_them(server: Server) -> None:
    server.printed_until_ready()
    os.killpg(server.process.pid, signal.SIGHUP)
    assert server.process.wait(15) == 0
    assert_nothing_is_left(server)


@pytest.mark.parametrize("which", ["web server", "worker"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_where_one_ends_by_itself_all_end_and_it_is_named(
    server: Server,
    which: str,
    how: signal.Signals,
) -> None:
    server.printed_until_ready()
    printed = lines_of(server)
    os.kill(children(server)[which], how)
    assert server.process.wait(20) == 1
    assert_nothing_is_left(server)
    wait_for(lambda: any(f"The {which} ended by itself (" in line for line in list(printed.queue)), within=5)
