"""How does a door have owed work looked at now, and not at the next sweep, without ever waiting for the broker?

Messages go through one daemon thread and a small queue. A broker that is frozen or dead delays no committed change and
fails none: what does not get through is dropped, and the sweep finds the row.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from functools import partial
from queue import Full, Queue
from typing import Any

from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError

MOST_WAITING = 100
# Seconds that a process which ends gives its last messages. A broker that is well takes milliseconds.
LAST_WORDS = 1.0

log = logging.getLogger(__name__)

_waiting: Queue[tuple[Task[Any, Any], tuple[object, ...]]] = Queue(MOST_WAITING)
_starting = threading.Lock()
_threads: list[threading.Thread] = []


def hurry(task: Task[Any, Any], *ids: object) -> None:
    """Has `task` run soon for `ids` once the present transaction is committed; nothing happens if it is not."""
    transaction.on_commit(partial(_hand_over, task, ids), robust=True)


def _hand_over(task: Task[Any, Any], ids: tuple[object, ...]) -> None:
    try:
        _waiting.put_nowait((task, ids))
    except Full:
        log.warning("a hurried task is left to the sweep: too many wait")
        return
    with _starting:
        if not any(thread.is_alive() for thread in _threads):
            _threads[:] = [threading.Thread(target=_publish_all, name="hurry", daemon=True)]
            _threads[0].start()


def _publish_all() -> None:
    while True:
        task, ids = _waiting.get()
        try:
            task.apply_async(ids)
        except OperationalError:
            # Not the error's text: it may hold the message.
            log.warning("a hurried task is left to the sweep: the broker does not take it")
        finally:
            _waiting.task_done()


@atexit.register
def _let_the_last_go() -> None:
    """The thread dies with the process: a command's message would die with it."""
    ends = time.monotonic() + LAST_WORDS
    while _waiting.unfinished_tasks and time.monotonic() < ends:
        time.sleep(0.01)
