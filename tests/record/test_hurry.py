"""Whoever changes something never waits for the broker, be it well, frozen, dead or full; and hurries what it can."""

from __future__ import annotations

import json
import logging
import time
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from celery import Celery
from django.db import transaction
from pytest_django import DjangoCaptureOnCommitCallbacks

from record.hurry import MOST_WAITING, hurry
from record.models import User
from tests.running import wait_for
from tests.throwaway_redis import Redis, free_port, throwaway_redis

# Changes in these are really committed.
committing = pytest.mark.usefixtures("committed")

# What a change on a loaded test machine may take by itself. Waiting for the broker would add 0.3 at least.
AT_ONCE = 0.25


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with throwaway_redis() as started:
        yield started


@pytest.fixture
def broker(server: Redis) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, socket_timeout=5) as client:
        client.flushall()
        yield client


def task_on(port: int) -> Any:
    """A task whose messages go to the Redis on that port, on production's terms (dncregistry/settings.py)."""
    app = Celery("test", broker=f"redis://127.0.0.1:{port}/0", set_as_current=False)
    app.conf.update(
        task_publish_retry=False,
        task_ignore_result=True,
        broker_transport_options={"socket_timeout": 0.3, "socket_connect_timeout": 0.3, "max_retries": 0},
    )

    @app.task(shared=False)
    def hurried(*_: object) -> None: ...

    return hurried


def waiting(broker: redis.Redis) -> list[list[Any]]:
    """The arguments of each message that a worker would find."""
    messages: Any = broker.lrange("celery", 0, -1)
    return [json.loads(b64decode(json.loads(message)["body"]))[0] for message in messages]


def change(task: Any, name: str = "丁") -> float:
    """Changes a row and hurries a task in one transaction; returns the seconds until it is committed."""
    began = time.monotonic()
    with transaction.atomic():
        User.objects.update(name=name)
        hurry(task, 7, "x")
    return time.monotonic() - began


def assert_changed_at_once(seconds: float) -> None:
    assert seconds < AT_ONCE
    assert set(User.objects.values_list("name", flat=True)) == {"丁"}


def test_nothing_leaves_before_the_commit(
    db: None, server: Redis, broker: redis.Redis, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks() as held_back:
        hurry(task_on(server.port))
    assert len(held_back) == 1
    assert not waiting(broker)


@committing
def test_a_committed_change_hurries_its_task(server: Redis, broker: redis.Redis) -> None:
    change(task_on(server.port))
    wait_for(lambda: waiting(broker) == [[7, "x"]], within=5)


@committing
def test_a_change_that_is_not_committed_hurries_nothing(server: Redis, broker: redis.Redis) -> None:
    task = task_on(server.port)
    with transaction.atomic():
        hurry(task, 1)
        transaction.set_rollback(True)
    change(task)
    wait_for(lambda: waiting(broker), within=5)
    assert waiting(broker) == [[7, "x"]]


@committing
def test_a_frozen_redis_delays_no_change(server: Redis, broker: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    task = task_on(server.port)
    server.freeze()
    try:
        assert_changed_at_once(change(task))
        wait_for(lambda: "the broker does not take it" in caplog.text, within=5)
    finally:
        server.thaw()


@committing
def test_a_redis_that_freezes_between_two_changes_delays_neither(
    server: Redis, broker: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is there already, and stays silent."""
    task = task_on(server.port)
    change(task)
    wait_for(lambda: waiting(broker), within=5)
    server.freeze()
    try:
        assert_changed_at_once(change(task))
        wait_for(lambda: "the broker does not take it" in caplog.text, within=5)
    finally:
        server.thaw()
    change(task)
    wait_for(lambda: len(waiting(broker)) >= 2, within=5)


@committing
def test_a_dead_redis_fails_no_change(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert_changed_at_once(change(task_on(free_port())))
        wait_for(lambda: "the broker does not take it" in caplog.text, within=5)
    assert "[7" not in caplog.text  # what a message holds is nobody's to read


@committing
def test_more_than_can_wait_is_left_to_the_sweep(
    server: Redis, broker: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    task = task_on(server.port)
    server.freeze()
    try:
        began = time.monotonic()
        for _change in range(MOST_WAITING + 10):
            hurry(task)
        assert time.monotonic() - began < 1
        assert "too many wait" in caplog.text
    finally:
        server.thaw()
    wait_for(lambda: len(waiting(broker)) > MOST_WAITING / 2, within=20)
