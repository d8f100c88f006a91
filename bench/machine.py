"""On what was it measured? Printed above every measurement, since figures mean little without it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import django
from django.db import connection


def describe() -> str:
    """Processor, cores, memory, versions and the database, a line each."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB",
        "system": f"Python {platform.python_version()}, Django {django.__version__}, granian {version('granian')}",
        "database": _database(),
    }
    return "\n".join(f"{name:10} {said}" for name, said in lines.items())


def _processor() -> str:
    names = [line.split(":", 1)[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    return names[0].strip() if names else platform.processor() or platform.machine()


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SHOW server_version")
        (server,) = cursor.fetchone()
    return f"{connection.display_name} {server}"
