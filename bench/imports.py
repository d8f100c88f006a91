"""How long does the import of a million registrations take, beside what one would write with the ORM alone?

    .venv/bin/python -m bench.imports --rows 1000000 --database sqlite
    .venv/bin/python -m bench.imports --rows 1000000 --database postgres
    .venv/bin/python -m bench.imports --rows 200000 --database sqlite --beside-checks

Everything happens in a folder and a server made for the occasion, which are gone afterwards. PostgreSQL syncs to disk.
`--beside-checks` also runs the web server on the database, and prints how long single checks take with and without an
import going on.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.throwaway_postgres import DURABLE, ROLE, programs, throwaway_postgres

ROOT = Path(__file__).resolve().parent.parent
# Prefixes in the mobile ranges of record/data/china_ranges.csv. The stride is coprime with 10^8: consecutive numbers
# lie far apart, as in a carrier's export, and none repeats within a billion.
PREFIXES = ("133", "135", "138", "139", "150", "155", "166", "177", "186", "198")
STRIDE, OFFSET = 26_544_357, 12_345_678
COMPARED_ROWS = 20_000


class Run(NamedTuple):
    seconds: float
    cpu: float
    peak_mb: int
    told: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--beside-checks", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="registry-bench-") as folder, _database(options.database) as url:
        environment = {**os.environ, "VAR_DIR": folder, "LANG": "C.UTF-8", "DNC_PROFILE": "embedded"}
        if url:
            environment["DATABASE_URL"] = url
        _print_machine(options.database, url)
        _manage(environment, "migrate")
        _manage(environment, "demo", "--registrations", "0")
        if options.beside_checks:
            _beside_checks(Path(folder), environment, options.rows)
        else:
            _alone(Path(folder), environment, options.rows)


def _alone(folder: Path, environment: dict[str, str], rows: int) -> None:
    file = write_numbers(folder / "export.txt", 0, rows)
    first = _import(environment, file)
    _print(f"import of {rows:,} numbers", rows, first)
    again = _import(environment, file)
    _print("the same once more", rows, again)
    changed = write_numbers(folder / "changed.txt", 0, rows + 1)
    _print("with one line more, which makes it another file", rows, _import(environment, changed))
    others = write_numbers(folder / "others.txt", rows + 1, rows + 1 + COMPARED_ROWS)
    script = f"from bench import bulk_create; bulk_create.run({str(others)!r})"
    with_orm = _measured([sys.executable, "manage.py", "shell", "--no-imports", "-c", script], environment)
    _print(f"{COMPARED_ROWS:,} more numbers with bulk_create", COMPARED_ROWS, with_orm)
    ratio = (with_orm.seconds / COMPARED_ROWS) / (first.seconds / rows)
    print(f"bulk_create takes {ratio:.1f} times as long a row")


def write_numbers(file: Path, start: int, stop: int) -> Path:
    """Distinct Chinese mobile numbers, one a line: the `start`th to the one before the `stop`th of a fixed sequence."""
    with file.open("w") as lines:
        for index in range(start, stop):
            lines.write(f"{PREFIXES[index % len(PREFIXES)]}{(index * STRIDE + OFFSET) % 10**8:08}\n")
    return file


def _import(environment: dict[str, str], file: Path) -> Run:
    return _measured([sys.executable, "manage.py", "import_registrations", str(file)], environment)


def _measured(command: list[str], environment: dict[str, str]) -> Run:
    """Runs it to its end. The peak is of its memory, as the kernel counted it."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = process.stdout.read()
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(
        time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, ", ".join(told.split("\n"))
    )


def _manage(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _print(what: str, rows: int, run: Run) -> None:
    print(f"{what}: {run.seconds:.1f} s, {rows / run.seconds:,.0f} rows/s, CPU {run.cpu:.1f} s, peak {run.peak_mb} MB")
    print(f"    {run.told}", flush=True)


def _print_machine(database: str, url: str) -> None:
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"{os.cpu_count()} × {model}, load {os.getloadavg()[0]:.1f}, {platform.platform()}")
    print(f"Python {platform.python_version()}, {database} {_version(url)}", flush=True)


def _version(url: str) -> str:
    if not url:
        return sqlite3.sqlite_version
    folder = programs()
    return subprocess.run([f"{folder}/postgres", "-V"], capture_output=True, text=True, check=True).stdout.strip()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


# --- beside a live server ----------------------------------------------------------------------------


def _beside_checks(folder: Path, environment: dict[str, str], rows: int) -> None:
    file = write_numbers(folder / "export.txt", 0, rows)
    key = _manage(environment, "demo", "--key", "live")
    with _server(environment) as port:
        quiet = _latencies(port, key, until=_after(10))
        _print_latencies("checks alone", quiet)
        importing = subprocess.Popen(
            [sys.executable, "manage.py", "import_registrations", str(file)], cwd=ROOT, env=environment
        )
        busy = _latencies(port, key, until=lambda: importing.poll() is not None)
        _print_latencies("checks beside the import", busy)
        if importing.wait():
            sys.exit("the import failed")


@contextmanager
def _server(environment: dict[str, str]) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "manage.py", "serve", "--port", str(port)]
    limits = {"RATE_LIMIT_CHECKS": "100000000"}
    server = subprocess.Popen(command, cwd=ROOT, env=environment | limits, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(15)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _latencies(port: int, key: str, until: Callable[[], bool]) -> list[float]:
    """Milliseconds of single checks, one after the other, a hundred a second at the most."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    asked = {"caller": "010 6552 9988", "purpose": "retail", "channel": "sms"}
    taken: list[float] = []
    while not until():
        body = json.dumps({**asked, "callee": f"139{len(taken):08}"})
        began = time.monotonic()
        connection.request("POST", "/api/v1/checks", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"a check was answered {answer.status}")
        taken.append((time.monotonic() - began) * 1000)
        time.sleep(0.01)
    return sorted(taken)


def _print_latencies(what: str, taken: list[float]) -> None:
    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    print(f"{what}: {len(taken):,}, p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {taken[-1]:.1f} ms", flush=True)


# --- where ---------------------------------------------------------------------------------------------


@contextmanager
def _database(kind: str) -> Iterator[str]:
    """A DATABASE_URL; none for the embedded profile's SQLite."""
    if kind == "sqlite":
        yield ""
        return
    folder = programs()
    if folder is None:
        sys.exit("PostgreSQL is not on this machine (Debian: apt install postgresql).")
    with throwaway_postgres(folder, DURABLE) as cluster:
        subprocess.run([folder / "createdb", "-h", cluster.folder, "-U", ROLE, "registry"], check=True)
        yield cluster.url


if __name__ == "__main__":
    main()
