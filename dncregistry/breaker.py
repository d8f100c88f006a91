"""Is the database worth asking? The one circuit breaker of a process.

It opens when the database did not answer in time, or cannot be reached. While it is open, doors answer at once
that they cannot rule, instead of each waiting its turn; a thread in the background, never a request, tries the
database and closes the breaker when it answers. It knows of doors only: commands and tasks wait (no deadline is set
there).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db.utils import OperationalError

from dncregistry import deadline

log = logging.getLogger(__name__)

TRIES_EVERY = 0.25  # seconds


class NotAnswering(OperationalError):
    """The database is not asked at all, because it did not answer a moment ago."""


class Breaker:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False

    @property
    def is_open(self) -> bool:
        return self._open

    def demand_closed(self) -> None:
        """Raises `NotAnswering` inside a request while the breaker is open."""
        if self._open and deadline.left() is not None:
            raise NotAnswering("the database did not answer a moment ago; it is being tried")

    def trip(self, answers: Callable[[], bool]) -> None:
        """The database did not answer a request; until `answers()` says that it does, no other waits for it."""
        if deadline.left() is None:
            return
        with self._lock:
            if self._open:
                return
            self._open = True
        log.error("the database does not answer; requests are told so until it does")
        try:
            threading.Thread(target=self._close_when, args=(answers,), name="database-probe", daemon=True).start()
        except RuntimeError:  # no more threads: then each request has to try for itself
            self._open = False

    def _close_when(self, answers: Callable[[], bool]) -> None:
        pause = threading.Event()
        try:
            while not answers():
                pause.wait(TRIES_EVERY)
            log.warning("the database answers again")
        finally:
            self._open = False


database = Breaker()
