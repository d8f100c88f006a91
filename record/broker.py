"""What is left in the embedded profile's broker file that nobody will read again?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def sweep(file: Path) -> int:
    """Deletes the messages that were taken; returns how many. The transport (kombu's `sqla`) hides them and no more.

    A taken message is never given out again from its row: one that is given back is written anew.
    """
    with closing(sqlite3.connect(file, timeout=5)) as broker, broker:
        (there,) = broker.execute("SELECT count(*) FROM sqlite_master WHERE name = 'kombu_message'").fetchone()
        return broker.execute("DELETE FROM kombu_message WHERE visible = 0").rowcount if there else 0
