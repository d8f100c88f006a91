"""Secrets that the embedded profile makes for itself on its first run, each in a file of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def secret_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """What `path` holds; if there is no such file yet, what `make()` gives, kept there for the owner alone.

    Two processes that start at once agree: the file appears whole (written aside, then linked), and
    whoever comes second reads the first one's.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        Path(aside).unlink()
    return path.read_bytes()
