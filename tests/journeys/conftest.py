from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served, served


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """The registry, started as `make run` starts it."""
    with served(tmp_path / "a folder with spaces") as started:
        yield started
