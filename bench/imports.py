"""How long does the import of a million registrations take, beside what one would write with the ORM alone?

    .venv/bin/python -m bench.imports --rows 1000000 --database sqlite
    .venv/bin/python -m bench.imports --rows 1000000 --database postgresql
    .venv/bin/python -m bench.imports --rows 200000 --database sqlite --beside-checks

Everything happens in a folder and a server made for the occasion, which are gone afterwards. PostgreSQL syncs to disk.
`--beside-checks` also runs the web server on the database, and prints how long single checks take with and without an
import going on.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.registry import DATABASES, Run, describe, measured, registry_on
from tests.served import ROOT, Served, manage, served

# Prefixes in the mobile ranges of record/data/china_ranges.csv. The stride is coprime with 10^8: consecutive numbers
# lie far apart, as in a carrier's export, and none repeats within a billion.
PREFIXES = ("133", "135", "138", "139", "150", "155", "166", "177", "186", "198")
STRIDE, OFFSET = 26_544_357, 12_345_678
COMPARED_ROWS = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.imports", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="numbers to import (1000000)")
    parser.add_argument("--database", choices=DATABASES, default="sqlite", help="default: sqlite")
    parser.add_argument("--beside-checks", action="store_true", help="with checks, and without the import, beside it")
    options = parser.parse_args()
    with registry_on(options.database, RATE_LIMIT_CHECKS="100000000") as environment:
        folder = Path(environment["VAR_DIR"])
        if options.beside_checks:
            with served(folder, **environment) as registry:
                print(describe(environment), end="", flush=True)
                _beside_checks(registry, write_numbers(folder / "export.txt", 0, options.rows))
            return
        manage(environment, "migrate", "--verbosity", "0")
        manage(environment, "demo", "--registrations", "0")
        print(describe(environment), end="", flush=True)
        _alone(folder, environment, options.rows)


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
    with_orm = measured(environment, "shell", "--no-imports", "-c", script)
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
    return measured(environment, "import_registrations", str(file))


def _print(what: str, rows: int, run: Run) -> None:
    print(f"{what}: {run.seconds:.1f} s, {rows / run.seconds:,.0f} rows/s, CPU {run.cpu:.1f} s, peak {run.peak_mb} MB")
    if run.told.strip():
        print(f"    {', '.join(run.told.splitlines())}", flush=True)


# --- beside a live server ----------------------------------------------------------------------------


def _beside_checks(registry: Served, file: Path) -> None:
    _print_latencies("checks alone", _latencies(registry, until=_after(10)))
    importing = subprocess.Popen(
        [sys.executable, "manage.py", "import_registrations", str(file)], cwd=ROOT, env=registry.environment
    )
    _print_latencies("checks beside the import", _latencies(registry, until=lambda: importing.poll() is not None))
    if importing.wait():
        sys.exit("the import failed")


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def _latencies(registry: Served, until: Callable[[], bool]) -> list[float]:
    """Milliseconds of single checks, one after the other, a hundred a second at the most."""
    connection = http.client.HTTPConnection("127.0.0.1", registry.port, timeout=30)
    headers = {"Authorization": f"Bearer {registry.key}", "Content-Type": "application/json"}
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


if __name__ == "__main__":
    main()
