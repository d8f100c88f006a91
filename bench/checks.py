"""`make bench`: single checks over HTTP, beside a bare echo and a plain DRF + ORM view, all in one run.

Every contender has one web process of the same server with the same arguments, the same database and the same load,
in turn, several rounds; what counts is the ratio within the run. The load comes from wrk over loopback, is bounded in
time, and stops by itself. Commits are durable on both databases (`synchronous=FULL`, `fsync=on`).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.registry import DATABASES, describe, registry_on
from tests.served import ROOT, Served, free_port, served

CONTENDERS = {"check": "/api/v1/checks", "plain": "/plain", "echo": "/echo"}


class Round(NamedTuple):
    per_second: float
    p50: float  # milliseconds
    p99: float
    refused: int  # answers that were not 200


def main() -> None:
    options = arguments()
    if shutil.which("wrk") is None:
        sys.exit("The load comes from wrk, which is not on this machine: apt install wrk")
    for database in options.database or DATABASES:
        with (
            registry_on(database, RATE_LIMIT_CHECKS="1000000000", WEB_WORKERS="1") as environment,
            served(Path(environment["VAR_DIR"]), **environment) as registry,
        ):
            measure(registry, options)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.checks", description=__doc__)
    parser.add_argument("--database", action="append", choices=DATABASES, help="default: both")
    parser.add_argument("--registrations", type=int, default=100_000, help="numbers on the list (100000)")
    parser.add_argument("--connections", type=int, default=16, help="asking at once (16)")
    parser.add_argument("--seconds", type=int, default=8, help="of load in a round (8)")
    parser.add_argument("--rounds", type=int, default=3, help="for each contender (3)")
    return parser.parse_args()


def measure(registry: Served, options: argparse.Namespace) -> None:
    registry.manage("demo", "--registrations", str(options.registrations))
    print(describe(registry.environment), end="")
    print(f"list       {options.registrations:,} registrations")
    print(f"load       {options.connections} connections, {options.seconds} s a round, {options.rounds} rounds each")
    rounds: dict[str, list[Round]] = {name: [] for name in CONTENDERS}
    with rivals(registry) as port, tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "ask.lua"
        script.write_text(asking(registry))
        for turn in range(options.rounds):
            for name, path in CONTENDERS.items():
                to = registry.port if name == "check" else port
                progress(f"{name}, round {turn + 1} of {options.rounds}")
                rounds[name].append(load(f"http://127.0.0.1:{to}{path}", script, options))
    progress("")
    report(rounds)


@contextmanager
def rivals(registry: Served) -> Iterator[int]:
    """The rivals' web process, started as `manage.py serve` starts the registry's."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--blocking-threads", "1", "--no-ws", "--no-access-log", "--log-level", "warning"),
            *("--workers-kill-timeout", "2", "bench.rivals:application"),
        ],
        cwd=ROOT,
        env={**registry.environment, "DJANGO_SETTINGS_MODULE": "bench.rivals_settings"},
    )
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    probe = ["wrk", "-c1", "-t1", "-d1s", f"http://127.0.0.1:{port}/echo"]
    while subprocess.run(probe, capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            sys.exit("the rivals' server did not start")


def asking(registry: Served) -> str:
    """wrk's script: a check each about one of 10,000 numbers, half of them on the list."""
    chosen = random.Random(1)
    listed = json.loads(registry.run(LISTED.format(count=5_000)))
    others = [f"+86139{chosen.randrange(10**8):08}" for _number in range(5_000)]
    numbers = listed + others
    chosen.shuffle(numbers)
    return LUA.format(numbers=", ".join(f'"{number}"' for number in numbers), key=registry.key)


LISTED = """
import json
from record import keys
from record.models import Number
rows = Number.objects.order_by("pk").values_list("key", "pseudonym")[:{count}]
print(json.dumps([keys.pseudonymizer().reveal(key, bytes(pseudonym)).e164 for key, pseudonym in rows]))
"""

LUA = """
local numbers = {{ {numbers} }}
local next = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
request = function()
  next = next % #numbers + 1
  return wrk.format(nil, nil, nil, '{{"callee": "' .. numbers[next] ..
    '", "caller": "+861065529988", "purpose": "retail", "channel": "voice"}}')
end
"""


def load(url: str, script: Path, options: argparse.Namespace) -> Round:
    command = [
        *("wrk", "--latency", f"-c{options.connections}", "-t1", f"-d{options.seconds}s", "--timeout", "10s"),
        *("-s", str(script), url),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=options.seconds + 30).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Round(
        float(found(r"Requests/sec:\s+([\d.]+)", said)[1]),
        milliseconds(found(r"50%\s+([\d.]+)(us|ms|s)", said)),
        milliseconds(found(r"99%\s+([\d.]+)(us|ms|s)", said)),
        int(refused[1]) if refused else 0,
    )


def found(pattern: str, said: str) -> re.Match[str]:
    match = re.search(pattern, said)
    if match is None:
        sys.exit(f"wrk said nothing of that:\n{said}")
    return match


def milliseconds(match: re.Match[str]) -> float:
    return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[match[2]]


def report(rounds: dict[str, list[Round]]) -> None:
    """Medians of the rounds; the ratio is how many times as fast as the plain view."""
    plain = statistics.median(one.per_second for one in rounds["plain"])
    print(f"\n{'':8} {'per second':>12} {'p50 ms':>8} {'p99 ms':>8} {'not 200':>8} {'of plain':>9}")
    for name, each in rounds.items():
        rate = statistics.median(one.per_second for one in each)
        p50, p99 = (statistics.median(values) for values in zip(*((one.p50, one.p99) for one in each), strict=True))
        refused = sum(one.refused for one in each)
        print(f"{name:8} {rate:12,.0f} {p50:8.1f} {p99:8.1f} {refused:8} {rate / plain:8.2f}x")
    print()


def progress(said: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{said:60}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
