"""Secrets in files of their own, which appear whole or not at all: made on a first run, or put in another's place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

ASIDE = ".aside-"  # begins the name of what is not yet whole; left behind by a process killed in the act


def secret_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """What `path` holds; if there is no such file yet, what `make()` gives, kept there for the owner alone.

    Two processes that start at once agree: the file appears whole (written aside, then linked), and
    whoever comes second reads the first one's.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = _written_aside(path, make())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()
    sync_folder(path.parent)
    return path.read_bytes()


def replace_secret(path: Path, content: bytes) -> None:
    """Puts `content` in the place of what `path` holds. Killed at any point, it leaves the one or the other."""
    _written_aside(path, content).replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Has the folder's names survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _written_aside(path: Path, content: bytes) -> Path:
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=ASIDE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(aside)
