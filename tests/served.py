"""The registry as a process of its own, for tests and measurements from outside: its commands, and its server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STARTS_WITHIN = 60  # seconds
STOPS_WITHIN = 20

# A developer's own registry is none of a test's business.
NOT_FOR_TESTS = frozenset(
    ["DNC_PROFILE", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "KEYS_DIR", "OUTER_KEYS_DIR", "ALLOWED_HOSTS", "PORT"]
)


def environment_in(folder: Path, **variables: str) -> dict[str, str]:
    """For a registry of the embedded profile that keeps its data in `folder`, unless `variables` say otherwise."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_FOR_TESTS}
    return {**kept, "VAR_DIR": str(folder), "LANG": "C.UTF-8", **variables}


def manage(environment: dict[str, str], *arguments: str, script: str | None = None) -> str:
    """What a command of the registry prints; it must succeed. `script` is its standard input."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        input=script,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Served:
    """`manage.py serve --demo` in a session of its own."""

    port: int
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path
    key: str = ""

    @property
    def folder(self) -> Path:
        return Path(self.environment["VAR_DIR"])

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return self._answer(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}"))

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return self._answer(
            urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), headers)
        )

    def check(self, callee: str, purpose: str) -> tuple[int, dict[str, Any]]:
        asked = {"callee": callee, "caller": "+861065529988", "purpose": purpose, "channel": "voice"}
        return self.post("/api/v1/checks", asked)

    def manage(self, *arguments: str, script: str | None = None) -> str:
        return manage(self.environment, *arguments, script=script)

    def run(self, program: str) -> str:
        """What a program prints that knows the registry's models and settings."""
        return self.manage("shell", "--no-imports", "--command", program)

    def processes(self) -> set[int]:
        """Every process of the registry's session."""
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it ended while we looked
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.add(int(stat.parent.name))
        return found

    def _answer(self, request: urllib.request.Request) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(folder: Path, **variables: str) -> Iterator[Served]:
    """Starts the registry with its data in `folder`, waits until it is ready, and in the end stops it."""
    port = free_port()
    environment = environment_in(folder, PORT=str(port), **variables)
    folder.mkdir(exist_ok=True)
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--demo"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    registry = Served(port, environment, process, log)
    try:
        _wait_until_ready(registry)
        registry.key = registry.manage("demo", "--key", "live").strip()
        yield registry
    finally:
        _stop(registry)


def _wait_until_ready(registry: Served) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            if registry.get("/readyz")[0] == 200:
                return
        except OSError:
            pass
        if registry.process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"the registry did not start:\n{registry.printed()}")
        time.sleep(0.1)


def _stop(registry: Served) -> None:
    """Whatever a test has done to it, none of its processes is left."""
    registry.process.terminate()
    try:
        registry.process.wait(STOPS_WITHIN)
    except subprocess.TimeoutExpired:
        registry.process.kill()
        registry.process.wait()
    for left in registry.processes():
        os.kill(left, signal.SIGKILL)
