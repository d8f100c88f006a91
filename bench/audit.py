"""How long does an audit of so many events take? `.venv/bin/python -m bench.audit --events 1000000 --database sqlite`

Fills a registry of its own with registrations (two events each: a holding, a registration) and some checks, audits it,
and prints the machine, the versions, the seconds and the memory. `--profile` shows where the time went.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import platform
import pstats
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.throwaway_postgres import programs, throwaway_postgres

INSIDE = "BENCH_AUDIT_INSIDE"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args(arguments)
    if INSIDE in os.environ:
        measure(options.events, profile=options.profile)
        return 0
    with tempfile.TemporaryDirectory() as var, database(options.database) as url:
        environment = {**os.environ, "VAR_DIR": var, INSIDE: "yes", "DNC_PROFILE": "embedded", **url}
        return subprocess.run([sys.executable, "-m", "bench.audit", *arguments], env=environment, check=False).returncode


@contextmanager
def database(name: str) -> Iterator[dict[str, str]]:
    """A new, empty one, as settings find it."""
    if name == "sqlite":
        yield {}
        return
    folder = programs()
    if folder is None:
        sys.exit("PostgreSQL is not on this machine (Debian: apt install postgresql).")
    with throwaway_postgres(folder) as cluster:
        made = [folder / "createdb", "-h", cluster.folder, "-U", "registry", "registry"]
        subprocess.run(made, check=True, timeout=30)
        yield {"DATABASE_URL": cluster.url}


def measure(events: int, *, profile: bool) -> None:
    import django  # noqa: PLC0415  (settings are those of the environment made above)

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dncregistry.settings")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    from record import audit  # noqa: PLC0415
    from record.models import Event  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    began = time.perf_counter()
    call_command("demo", registrations=events // 2)
    filled = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    before = peak()
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    began = time.perf_counter()
    found = list(audit.differences(connection))
    seconds = time.perf_counter() - began
    profiler.disable()

    print(f"machine    {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    print(f"versions   Python {platform.python_version()}, Django {django.__version__}, {version_of(connection)}")
    print(f"filled     {filled:8.1f} s")
    print(f"audited    {seconds:8.1f} s: {Event.objects.count():,} events, {len(found)} differences")
    print(f"peak RSS   {peak():8.1f} MB ({before:.1f} MB before the audit)")
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def version_of(connection: object) -> str:
    if getattr(connection, "vendor", "") == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    number = getattr(connection, "pg_version")
    return f"PostgreSQL {number // 10_000}.{number % 10_000}"


def peak() -> float:
    """Of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    os.chdir(Path(__file__).parent.parent)
    sys.exit(main(sys.argv[1:]))
