"""Programs that tests start on the suite's own database: with which environment, and how they are waited for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.db import connection

ROOT = Path(settings.BASE_DIR)


def environment(**more: str) -> dict[str, str]:
    """For a program that shares database and keys with the test. What the test wrote must be committed."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        url = f"postgres://{database['USER']}@/{database['HOST']}/{database['NAME']}"
    return {
        **os.environ,
        "DATABASE_URL": url,
        "VAR_DIR": str(settings.VAR_DIR),
        "DJANGO_SETTINGS_MODULE": "dncregistry.settings",
        "PYTHONPATH": str(ROOT),
        **more,
    }


def wait_for(happened: Callable[[], object], *, within: float) -> None:
    deadline = time.monotonic() + within
    while not happened():
        assert time.monotonic() < deadline, f"this did not happen within {within} s"
        time.sleep(0.05)
