"""A registry to measure, with a database of its own that syncs to disk; gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.served import ROOT, environment_in, manage
from tests.throwaway_postgres import DURABLE, ROLE, programs, throwaway_postgres

DATABASES = ("sqlite", "postgresql")


@contextmanager
def registry_on(database: str, **variables: str) -> Iterator[dict[str, str]]:
    """The environment of its commands."""
    with tempfile.TemporaryDirectory(prefix="registry-bench-") as folder:
        if database == "sqlite":
            yield environment_in(Path(folder), **variables)
            return
        bin_folder = programs()
        if bin_folder is None:
            sys.exit("PostgreSQL is not on this machine: apt install postgresql, or --database sqlite")
        with throwaway_postgres(bin_folder, DURABLE) as cluster:
            subprocess.run([bin_folder / "createdb", "-h", cluster.folder, "-U", ROLE, "registry"], check=True)
            yield environment_in(Path(folder), DATABASE_URL=cluster.url, **variables)


def describe(environment: dict[str, str]) -> str:
    """On what it runs, a line each."""
    script = "from bench import machine; print(machine.describe())"
    return manage(environment, "shell", "--no-imports", "--command", script)


class Run(NamedTuple):
    seconds: float
    cpu: float  # seconds, of the command alone
    peak_mb: int  # of its memory, as the kernel counted it
    told: str


def measured(environment: dict[str, str], *arguments: str, python: Sequence[str] = ()) -> Run:
    """Runs a command of the registry to its end; `python` are options of the interpreter."""
    command = [sys.executable, *python, "manage.py", *arguments]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = process.stdout.read()
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, told)
