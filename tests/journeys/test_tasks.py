"""`make run` looks after what is owed: it is told in the terminal, and whatever is killed, nothing is left running."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import wait_for
from tests.served import Served

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


def test_who_authorizes_is_told_so_in_the_terminal_in_a_moment(server: Served) -> None:
    server.manage("shell", "-v0", "-c", PROVE_THE_NUMBER)
    wait_for(lambda: worker_is_up(server), within=30)

    server.manage("authorize", NUMBER, "--firm", "91110000MA0000001L", "--matter", "spring-loan")

    told = re.compile(r"^SMS \+86138\*{4}8000.*春季贷款优惠", re.MULTILINE)
    wait_for(lambda: told.search(server.printed()), within=8)  # less than until the next sweep
    assert server.manage("notices").startswith("2 owed, of which 0 are due and 0 are late; 0 were given up.")
    vitals = server.get("/readyz")[1]["vitals"]
    assert vitals["beat_silence_seconds"]["state"] == "ok"  # beat ticks beside a web server that measures


def worker_is_up(server: Served) -> bool:
    """Beat has ticked, and the worker has taken what it sent."""
    with (
        closing(sqlite3.connect(server.folder / "registry.sqlite3", timeout=5)) as registry,
        closing(sqlite3.connect(server.folder / "tasks.sqlite3", timeout=5)) as broker,
    ):
        try:
            (ticked,) = registry.execute("SELECT count(*) FROM record_beatlease").fetchone()
            (waiting,) = broker.execute("SELECT count(*) FROM kombu_message WHERE visible").fetchone()
        except sqlite3.OperationalError:  # no table yet
            return False
    return bool(ticked) and not waiting


def assert_nothing_is_left(server: Served) -> None:
    wait_for(lambda: not server.processes(), within=20)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def children(server: Served) -> dict[str, int]:
    """The web server and the worker, by what they are."""
    found = {}
    for process in server.processes():
        status = Path(f"/proc/{process}/status").read_text()
        command = Path(f"/proc/{process}/cmdline").read_text()
        if f"\nPPid:\t{server.process.pid}\n" in status:
            found["worker" if "celery" in command else "web server"] = process
    return found


def test_it_is_a_web_server_and_a_worker(server: Served) -> None:
    assert set(children(server)) == {"web server", "worker"}


def test_killing_what_started_them_leaves_none_of_them(server: Served) -> None:
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(10)
    assert_nothing_is_left(server)


def test_closing_the_terminal_ends_them(server: Served) -> None:
    os.killpg(server.process.pid, signal.SIGHUP)
    assert server.process.wait(15) == 0
    assert_nothing_is_left(server)


@pytest.mark.parametrize("which", ["web server", "worker"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_where_one_ends_by_itself_all_end_and_it_is_named(
    server: Served,
    which: str,
    how: signal.Signals,
) -> None:
    os.kill(children(server)[which], how)
    assert server.process.wait(20) == 1
    assert_nothing_is_left(server)
    assert f"The {which} ended by itself (" in server.printed()
