"""`python -m tests.run`: the whole suite, once on SQLite and once on a PostgreSQL made for the occasion.

Both databases must pass the same tests, but for those that start processes of their own (`own_process`), which know
nothing of the suite's database and run once. SQLite is always there. PostgreSQL is run when its programs are
found on this machine (PATH, then Debian's /usr/lib/postgresql); if not, a line says so, and with CI=true
or --require-postgres that is a failure, as is any skipped test with CI=true. Whatever else is given goes
to pytest: `python -m tests.run tests/record -k parse`. `--only sqlite` or `--only postgres` leaves the
other one out.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn
from xml.etree import ElementTree

from tests.throwaway_postgres import NotStarted, programs, throwaway_postgres

WORKERS = "2"
GIVES_UP_WITHIN = 15  # seconds that pytest has to end after being interrupted

# A developer's shell may point at a real registry; the suite must never reach it.
NOT_FOR_TESTS = (
    "DNC_PROFILE",
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "KEYS_DIR",
    "OUTER_KEYS_DIR",
    "ALLOWED_HOSTS",
    "SMS_GATEWAY_URL",
    "SMS_GATEWAY_TOKEN",
    "PORT",
    "VAR_DIR",
)


class Interrupted(Exception):
    """Somebody wants this to end: Ctrl-C, or a signal."""


@dataclass(frozen=True)
class Outcome:
    """What one run of pytest came to."""

    exit_code: int
    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def main(arguments: list[str]) -> int:
    options, for_pytest = parse(arguments)
    in_ci = os.environ.get("CI") == "true"
    outcomes: dict[str, Outcome] = {}
    not_run: list[str] = []
    faults: list[str] = []

    if options.only != "postgres":
        print("== The suite on SQLite", flush=True)
        outcomes["SQLite"] = run_pytest(for_pytest, database_url=None)

    if options.only != "sqlite":
        bin_folder = programs()
        if bin_folder:
            print(f"== The suite on PostgreSQL ({bin_folder})", flush=True)
            with throwaway_postgres(bin_folder) as cluster:
                outcomes["PostgreSQL"] = run_pytest(for_pytest, database_url=cluster.url)
        else:
            not_run.append("PostgreSQL: SKIPPED, it is not on this machine (Debian: apt install postgresql).")
            if in_ci or options.require_postgres or options.only:
                faults.append("PostgreSQL: must be run here, and was not.")

    for database, outcome in outcomes.items():
        if outcome.exit_code:
            faults.append(f"{database}: pytest ended with exit code {outcome.exit_code}.")
        if in_ci and outcome.skipped:
            faults.append(f"{database}: {outcome.skipped} skipped, and CI skips nothing.")
    for line in (*faults, *not_run):
        print(line)
    for database, outcome in outcomes.items():
        print(f"{database}: {outcome}")
    return 1 if faults else 0


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        prog="python -m tests.run",
        description="Run the suite on SQLite and on PostgreSQL. Other arguments go to pytest.",
        allow_abbrev=False,
    )
    parser.add_argument("--only", choices=["sqlite", "postgres"], help="leave the other database out")
    parser.add_argument("--require-postgres", action="store_true", help="fail if PostgreSQL is not here")
    return parser.parse_known_args(arguments)


def run_pytest(for_pytest: list[str], *, database_url: str | None) -> Outcome:
    """One run of the suite on the database of that URL; None is the embedded profile's SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        pytest = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-n", WORKERS, "-rs", f"--junit-xml={report}"),
                # These start processes on databases of their own, and ran with SQLite.
                *(("-m", "not own_process") if database_url else ()),
                *for_pytest,
            ],
            env=environment(database_url, var=folder),
            start_new_session=True,  # so that Ctrl-C reaches it once, through us
        )
        try:
            exit_code = pytest.wait()
        except Interrupted:
            end(pytest)
            raise
        return read_outcome(exit_code, report)


def environment(database_url: str | None, *, var: str) -> dict[str, str]:
    """`var` keeps the keys and the SQLite file, apart from those of a registry in this folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in NOT_FOR_TESTS and not name.startswith("PG")  # PGHOST and the like steer libpq
    }
    kept["VAR_DIR"] = var
    return {**kept, "DATABASE_URL": database_url} if database_url else kept


def read_outcome(exit_code: int, report: Path) -> Outcome:
    """Count from pytest's report; an expected failure counts as passed, an error as failed."""
    if not report.exists():
        return Outcome(exit_code=exit_code or 1, passed=0, failed=0, skipped=0)
    suite = ElementTree.parse(report).find("testsuite")
    assert suite is not None
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = len(suite.findall("testcase/skipped[@type='pytest.skip']"))
    return Outcome(exit_code, passed=int(suite.get("tests", 0)) - failed - skipped, failed=failed, skipped=skipped)


def end(pytest: subprocess.Popen[bytes]) -> None:
    """Let pytest close what its tests opened, for a while; then end it with all its workers."""
    pytest.send_signal(signal.SIGINT)
    try:
        pytest.wait(GIVES_UP_WITHIN)
    except subprocess.TimeoutExpired:
        os.killpg(pytest.pid, signal.SIGKILL)
        pytest.wait()


def interrupt(signum: int, _frame: FrameType | None) -> NoReturn:
    # A second Ctrl-C must not cut the clearing away short. Every wait in it is bounded.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(signal.Signals(signum).name)


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except Interrupted as by:
        sys.exit(f"\nEnded by {by}. Nothing is left running.")
    except NotStarted as why:
        sys.exit(f"FAILED: the suite on PostgreSQL. {why}")
