"""How long does `manage.py audit_record` take over so many events?

    .venv/bin/python -m bench.audit --events 1000000 --database sqlite

Fills a registry of its own with registrations, each of which leaves two events (a holding, a registration), audits it
and prints the machine, the versions, the seconds and the memory. `--profile` shows where the time went.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from tests.throwaway_postgres import programs, throwaway_postgres

MANAGE = [sys.executable, "manage.py"]
PROFILED = [sys.executable, "-m", "cProfile", "-s", "tottime", "manage.py"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.audit")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as var, database(options.database) as (server, url):
        os.environ |= {"VAR_DIR": var, "DNC_PROFILE": "embedded", "LC_ALL": "C.UTF-8", **url}
        subprocess.run([*MANAGE, "migrate", "--verbosity", "0"], check=True)
        began = time.perf_counter()
        subprocess.run([*MANAGE, "demo", "--registrations", str(options.events // 2)], check=True)
        filled = time.perf_counter() - began
        began = time.perf_counter()
        audit = subprocess.Popen([*(PROFILED if options.profile else MANAGE), "audit_record"])
        _pid, status, used = os.wait4(audit.pid, 0)
        seconds = time.perf_counter() - began
    print(f"machine   {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}")
    print(f"versions  Python {platform.python_version()}, Django {version('django')}, {server}")
    print(f"filled    {filled:.1f} s")
    print(f"audited   {seconds:.1f} s for {options.events:,} events, status {os.waitstatus_to_exitcode(status)}")
    print(f"processor {used.ru_utime + used.ru_stime:.1f} s of them in the command itself")
    print(f"peak RSS  {used.ru_maxrss / 1024:.0f} MB")
    return 0


@contextmanager
def database(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """A new, empty one: its version, and where settings find it."""
    if name == "sqlite":
        yield f"SQLite {sqlite3.sqlite_version}", {}
        return
    folder = programs()
    if folder is None:
        sys.exit("PostgreSQL is not on this machine (Debian: apt install postgresql).")
    said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    with throwaway_postgres(folder) as cluster:
        made = [str(part) for part in (folder / "createdb", "-h", cluster.folder, "-U", "registry", "registry")]
        subprocess.run(made, check=True, timeout=30)
        yield said.strip(), {"DATABASE_URL": cluster.url}


if __name__ == "__main__":
    sys.exit(main())
