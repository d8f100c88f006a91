"""A stranger's first minutes: the README's commands as pasted, against the registry as `make run` starts it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.own_process]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`manage.py serve --demo` in a session of its own, keeping its data in `folder`; `more` is its environment."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.port = free_port()
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name not in ("DATABASE_URL", "REDIS_URL", "KEYS_DIR", "OUTER_KEYS_DIR")
            },
            "VAR_DIR": str(folder),
            "PORT": str(self.port),
            "LANG": "C.UTF-8",
            **more,
        }
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--demo"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def printed_until_ready(self) -> str:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                    return "".join(lines)
            except OSError:
                time.sleep(0.1)
        raise AssertionError("the server did not answer")

    def run(self, script: str, folder: Path) -> str:
        """Runs shell lines as pasted into a terminal in the project's folder; answers land in `folder`."""
        here = script.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{self.port}")
        here = here.replace(".venv/bin/python", shlex.quote(sys.executable))
        here = here.replace("answer.json", shlex.quote(str(folder / "answer.json")))
        done = subprocess.run(
            ["bash", "-e"],
            input=here,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def processes(self) -> set[int]:
        """Every process of the server's session."""
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it ended while we looked
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.add(int(stat.parent.name))
        return found

    def end(self) -> None:
        for process in self.processes():
            os.kill(process, signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "a folder with spaces")
    try:
        yield started
    finally:
        started.end()


def readme_block(heading: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"^## {heading}$.*?^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1]


def verdicts(printed: str) -> list[str]:
    answers = [json.loads(line) for line in printed.splitlines() if line.startswith('{"id"')]
    return [f"{answer['verdict']} {answer['reason']}" for answer in answers]


def test_the_readme_works_as_pasted(server: Server, tmp_path: Path) -> None:
    server.printed_until_ready()
    printed = server.run(readme_block("First minutes"), tmp_path)
    assert verdicts(printed) == [
        "block registered",
        "block no_authorization",
        "allow authorized",
        "block authorization_revoked",
    ]
    assert printed.count("Genuine:") == 4


def test_the_printed_curl_lines_work_as_pasted(server: Server, tmp_path: Path) -> None:
    printed = server.printed_until_ready()
    lines = re.findall(r"^curl .*?'\}'$|^curl .*?\}'$", printed, re.DOTALL | re.MULTILINE)
    assert len(lines) == 2
    single, batch = (json.loads(server.run(line, tmp_path)) for line in lines)
    assert (single["verdict"], single["reason"]) == ("block", "no_authorization")
    assert [row["verdict"] for row in batch["results"]] == ["allow", "block"]


def test_a_second_start_keeps_keys_and_data(server: Server, tmp_path: Path) -> None:
    server.printed_until_ready()
    show = ".venv/bin/python manage.py demo --key live"
    first = server.run(show, tmp_path)
    assert first == server.run(show, tmp_path)
    assert re.fullmatch(r"dnc_live_\w{32}\n", first)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_no_process_is_left_behind(server: Server, how: signal.Signals) -> None:
    server.printed_until_ready()
    assert server.processes()
    os.killpg(server.process.pid, how)
    server.process.wait(15)
    deadline = time.monotonic() + 5
    while server.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.processes()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_a_port_in_use_is_named_with_the_remedy(server: Server) -> None:
    server.printed_until_ready()
    again = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert again.returncode == 1
    assert f"Port {server.port} cannot be used" in again.stderr
    assert "Traceback" not in again.stderr
