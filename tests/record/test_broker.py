"""The broker's file does not grow with what was taken from it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from record import broker


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tasks.sqlite3"


def take(connection: Any) -> bool:
    """Takes the next message as a worker would."""
    return connection.default_channel.basic_get("celery", no_ack=True) is not None


def rows(file: Path) -> int:
    with closing(sqlite3.connect(file)) as opened:
        (count,) = opened.execute("SELECT count(*) FROM kombu_message").fetchone()
        return int(count)


def test_what_was_taken_goes_and_what_waits_stays(file: Path) -> None:
    app = Celery("test", broker=f"sqla+sqlite:///{file}", set_as_current=False)
    for _message in range(3):
        app.send_task("any", ignore_result=True)
    with app.connection() as connection:
        assert take(connection)
        assert (rows(file), broker.sweep(file), rows(file)) == (3, 1, 2)
        assert (take(connection), take(connection), take(connection)) == (True, True, False)


def test_a_broker_that_nobody_used_yet_is_swept_too(file: Path) -> None:
    assert broker.sweep(file) == 0
