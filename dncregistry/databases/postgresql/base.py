"""PostgreSQL through psycopg, never waited for past a request's deadline.

`statement_timeout` does not return when the server's process is frozen, so the wait itself has an end; whoever
reaches it closes the connection, whose state nobody knows then.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from typing import Any

import psycopg
from django.db import connections
from django.db.backends.postgresql import base
from psycopg import IsolationLevel, errors
from psycopg.abc import PQGen

from dncregistry import breaker, deadline
from dncregistry.databases.bounded import BoundedWrapper, waited_in_vain

# For a connection of a door, so that the server too gives up what nobody waits for any more: a lock, a slow plan.
# A little less than the deadline: a server that says so is alive, and keeps the breaker closed.
DOOR_TIMEOUTS = "-c statement_timeout=900 -c idle_in_transaction_session_timeout=5000"

_connecting = ThreadPoolExecutor(max_workers=4, thread_name_prefix="connect")


class BoundedConnection(psycopg.Connection[Any]):
    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        left = deadline.left()
        if left is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, left if timeout is None else min(left, timeout))
        except errors.OperationalError as error:
            if type(error).__name__ == "_WaitTimeout":
                self.pgconn.finish()
                waited_in_vain(left, answers)
            raise  # a connection that was found cut says nothing yet: the next attempt to connect will


class DatabaseWrapper(BoundedWrapper, base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        if deadline.left() is not None:
            params["options"] = f"{params.get('options', '')} {DOOR_TIMEOUTS}".strip()
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> BoundedConnection:
        self.isolation_level = IsolationLevel.READ_COMMITTED
        left = deadline.left()
        if left is None:
            return BoundedConnection.connect(**conn_params)
        # libpq's own time-out for connecting is two seconds at least.
        connecting = _connecting.submit(BoundedConnection.connect, **conn_params)
        try:
            return connecting.result(left)
        except NotInTime:
            connecting.add_done_callback(_close)
            waited_in_vain(left, answers)
            raise errors.ConnectionTimeout("no connection in time") from None
        except psycopg.OperationalError:
            breaker.database.trip(answers)
            raise


def answers() -> bool:
    """Does the server answer on a new connection, soon? Asked by the breaker's thread."""
    try:
        with deadline.within(1), BoundedConnection.connect(**connections["default"].get_connection_params()) as probe:
            probe.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _close(late: Future[BoundedConnection]) -> None:
    if late.exception() is None:
        late.result().close()
