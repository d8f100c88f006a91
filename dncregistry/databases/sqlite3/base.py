"""SQLite, never waited for past a request's deadline: neither for another writer, nor for a long query."""

from __future__ import annotations

import sqlite3
from typing import Any

from django.db import connections
from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

from dncregistry import deadline
from dncregistry.databases.bounded import BoundedWrapper, waited_in_vain

# How often a running query looks at the time, in steps of SQLite's virtual machine: every millisecond or so.
STEPS = 20_000


class DatabaseWrapper(BoundedWrapper, base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        left = deadline.left()
        # Opening may wait too: for whoever recovers the file after a kill.
        patience = conn_params if left is None else {**conn_params, "timeout": left}
        connection = super().get_new_connection(patience)
        connection.set_progress_handler(_is_late, STEPS)
        return connection

    def _start_transaction_under_autocommit(self) -> None:
        """Every transaction begins by becoming the one writer: the only wait that there is in WAL mode."""
        left = deadline.left()
        patience = self.settings_dict["OPTIONS"]["timeout"] if left is None else left
        self.cursor().execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # not in the stubs
        except OperationalError:
            waited_in_vain(patience, answers)
            raise


def answers() -> bool:
    """Does the file let a writer begin, soon? Asked by the breaker's thread."""
    try:
        probe = sqlite3.connect(connections["default"].settings_dict["NAME"], timeout=0.5, isolation_level=None)
    except sqlite3.Error:
        return False
    try:
        probe.execute("BEGIN IMMEDIATE")
        probe.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    finally:
        probe.close()
    return True


def _is_late() -> bool:
    """True ends the query, with an error."""
    return deadline.left() == 0
