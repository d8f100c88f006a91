"""How long may this request still wait for the database?

A door sets the deadline once, when a request comes in; the database backends (dncregistry/databases) obey it in
every wait. Where none is set, in commands and tasks, waiting is without end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """All waits for the database inside end after so many seconds together."""
    token = _ends.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends.reset(token)


def left() -> float | None:
    """Seconds, at least 0; None without a deadline."""
    ends = _ends.get()
    return None if ends is None else max(0.0, ends - time.monotonic())
