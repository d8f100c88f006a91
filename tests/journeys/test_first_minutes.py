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
from pathlib import Path

import pytest

from tests.served import ROOT, Served

pytestmark = [pytest.mark.slow, pytest.mark.own_process]


def pasted(server: Served, script: str, folder: Path) -> str:
    """What shell lines print that are pasted into a terminal in the project's folder; answers land in `folder`."""
    here = script.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{server.port}")
    here = here.replace(".venv/bin/python", shlex.quote(sys.executable))
    here = here.replace("answer.json", shlex.quote(str(folder / "answer.json")))
    done = subprocess.run(
        ["bash", "-e"],
        input=here,
        cwd=ROOT,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def readme_block(heading: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"^## {heading}$.*?^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1]


def verdicts(printed: str) -> list[str]:
    answers = [json.loads(line) for line in printed.splitlines() if line.startswith('{"id"')]
    return [f"{answer['verdict']} {answer['reason']}" for answer in answers]


def test_the_readme_works_as_pasted(server: Served, tmp_path: Path) -> None:
    printed = pasted(server, readme_block("First minutes"), tmp_path)
    assert verdicts(printed) == [
        "block registered",
        "block no_authorization",
        "allow authorized",
        "block authorization_revoked",
    ]
    assert printed.count("Genuine:") == 4


def test_the_printed_curl_lines_work_as_pasted(server: Served, tmp_path: Path) -> None:
    printed = server.printed()
    lines = re.findall(r"^curl .*?'\}'$|^curl .*?\}'$", printed, re.DOTALL | re.MULTILINE)
    assert len(lines) == 2
    single, batch = (json.loads(pasted(server, line, tmp_path)) for line in lines)
    assert (single["verdict"], single["reason"]) == ("block", "no_authorization")
    assert [row["verdict"] for row in batch["results"]] == ["allow", "block"]


def test_a_second_start_keeps_keys_and_data(server: Served, tmp_path: Path) -> None:
    show = ".venv/bin/python manage.py demo --key live"
    first = pasted(server, show, tmp_path)
    assert first == pasted(server, show, tmp_path)
    assert re.fullmatch(r"dnc_live_\w{32}\n", first)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_no_process_is_left_behind(server: Served, how: signal.Signals) -> None:
    assert server.processes()
    os.killpg(server.process.pid, how)
    server.process.wait(15)
    deadline = time.monotonic() + 5
    while server.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not server.processes()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_a_port_in_use_is_named_with_the_remedy(server: Served) -> None:
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
