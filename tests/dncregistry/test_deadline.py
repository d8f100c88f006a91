"""How long a request may wait for the database, and the circuit breaker that spares the next ones the wait."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connections
from django.db.utils import Error as DatabaseFailure
from django.db.utils import OperationalError

from dncregistry import deadline
from dncregistry.breaker import Breaker, NotAnswering


def test_without_a_deadline_waiting_has_no_end() -> None:
    assert deadline.left() is None


def test_time_runs_down_to_nothing_and_no_further() -> None:
    with deadline.within(0.02):
        first = deadline.left()
        time.sleep(0.03)
        assert first is not None and 0 < first <= 0.02
        assert deadline.left() == 0
    assert deadline.left() is None


def test_a_long_query_ends_at_the_deadline(db: None) -> None:
    endless = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(30)",
    }
    own = connections.create_connection("default")  # the test's own stays whole
    with deadline.within(5):
        own.ensure_connection()  # as a door does: then the server gives up too, soon after
    began = time.monotonic()
    with deadline.within(0.2), own.cursor() as cursor, pytest.raises(DatabaseFailure):
        cursor.execute(endless[own.vendor])
    assert 0.15 < time.monotonic() - began < 5

    own.close_if_unusable_or_obsolete()  # as at the end of every request
    with own.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    own.close()


class Database:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.tried = threading.Semaphore(0)

    def probe(self) -> bool:
        self.tried.release()
        return self.answers.is_set()


def test_an_open_breaker_refuses_until_the_database_answers() -> None:
    breaker, database = Breaker(), Database()
    with deadline.within(5):
        breaker.demand_closed()
        breaker.trip(database.probe)
        with pytest.raises(NotAnswering):
            breaker.demand_closed()
        assert database.tried.acquire(timeout=5)
        assert database.tried.acquire(timeout=5)  # again and again
        assert breaker.is_open
        database.answers.set()
        waited_until = time.monotonic() + 5
        while time.monotonic() < waited_until and is_open(breaker):
            time.sleep(0.01)
        breaker.demand_closed()


def is_open(breaker: Breaker) -> bool:
    return breaker.is_open


def test_one_probe_is_enough_for_many_failures() -> None:
    breaker, database = Breaker(), Database()
    before = threading.active_count()
    with deadline.within(5):
        for _time in range(5):
            breaker.trip(database.probe)
    assert threading.active_count() == before + 1
    database.answers.set()


def test_a_probe_that_fails_leaves_the_breaker_closed_for_the_next_request_to_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    breaker = Breaker()
    monkeypatch.setattr(threading, "excepthook", lambda failure: None)

    def fails() -> bool:
        raise ZeroDivisionError

    with deadline.within(5):
        breaker.trip(fails)
        for probe in threading.enumerate():
            if probe.name == "database-probe":
                probe.join(5)
        breaker.demand_closed()


def test_commands_wait_and_never_trip_it() -> None:
    breaker, database = Breaker(), Database()
    breaker.trip(database.probe)
    assert not breaker.is_open
    with deadline.within(5):
        breaker.trip(database.probe)
    breaker.demand_closed()  # outside a request nobody is refused
    database.answers.set()


def test_it_is_told_apart_from_other_failures_of_the_database() -> None:
    assert issubclass(NotAnswering, OperationalError)
