"""What both databases' wrappers do alike about waiting: the breaker is asked before, and told after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from dncregistry import breaker, metrics

FAIR_WAIT = 0.5  # seconds; who waited for less may have come late, and says nothing about the database


class BoundedWrapper(BaseDatabaseWrapper):
    def _commit(self) -> Any:
        with metrics.timed("commit"):
            return super()._commit()  # type: ignore[misc]  # not in the stubs

    def ensure_connection(self) -> None:
        breaker.database.demand_closed()
        super().ensure_connection()


def waited_in_vain(seconds: float, answers: Callable[[], bool]) -> None:
    """Opens the breaker if the wait was a fair one; `answers` is how its thread asks whether the database is back."""
    if seconds >= FAIR_WAIT:
        breaker.database.trip(answers)
