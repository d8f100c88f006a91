"""Messages reach a real HTTP server, and what it answers decides whether they are tried again."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import UUID

import pytest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from record import gateway
from record.gateway import HttpsGateway, NotSent, TerminalGateway
from record.terms import Trouble
from tests.world import ALICE

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
PARAMS = {"firm": "示范贷款有限公司"}


class Server(HTTPServer):
    """Answers every post with `status` after `delay` seconds, and keeps what it was sent."""

    status = 200
    delay = 0.0
    taken: list[tuple[dict[str, str], Any]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((dict(self.headers), json.loads(body)))
        time.sleep(self.server.delay)
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(f"no such number: {ALICE.e164}".encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as started:
        started.taken = []
        thread = threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield started
        started.shutdown()
        thread.join(5)


def send(port: int) -> None:
    https = HttpsGateway(f"http://127.0.0.1:{port}/messages", "a token")
    with https.client:
        https.send(ID, ALICE, "authorization_granted", PARAMS, "zh-hans")


def failure(port: int) -> NotSent:
    with pytest.raises(NotSent) as failed:
        send(port)
    return failed.value


def test_a_message_is_a_template_and_what_fills_it(server: Server) -> None:
    send(server.server_port)
    ((headers, body),) = server.taken
    assert body == {
        "to": ALICE.e164,
        "template": "authorization_granted",
        "params": PARAMS,
        "language": "zh-hans",
    }
    assert headers["Idempotency-Key"] == str(ID)
    assert headers["Authorization"] == "Bearer a token"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_what_the_gateway_takes_is_sent(server: Server, status: int) -> None:
    server.status = status
    send(server.server_port)


@pytest.mark.parametrize(
    ("status", "trouble", "for_good"),
    [
        (400, Trouble.REJECTED, True),
        (404, Trouble.REJECTED, True),
        (422, Trouble.REJECTED, True),
        (408, Trouble.BUSY, False),
        (429, Trouble.BUSY, False),
        (500, Trouble.BUSY, False),
        (503, Trouble.BUSY, False),
        pytest.param(302, Trouble.BUSY, False, id="a-redirect-is-not-followed"),
    ],
)
def test_what_it_answers_decides(server: Server, status: int, trouble: Trouble, for_good: bool) -> None:
    server.status = status
    failed = failure(server.server_port)
    assert (failed.trouble, failed.for_good) == (trouble, for_good)
    assert len(server.taken) == 1


def test_a_gateway_that_is_not_there_is_tried_again() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        failed = failure(probe.getsockname()[1])
    assert (failed.trouble, failed.for_good) == (Trouble.UNREACHABLE, False)


def test_a_gateway_that_hangs_is_left_in_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "TIMEOUT", 0.2)
    server.delay = 2
    began = time.monotonic()
    assert failure(server.server_port).trouble == Trouble.UNREACHABLE
    assert time.monotonic() - began < 1.5


def test_no_failure_and_no_line_of_a_log_holds_the_number(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.status = 422
    with caplog.at_level(logging.DEBUG):
        failed = failure(server.server_port)
    assert ALICE.national not in f"{failed!r} {failed.__cause__!r} {caplog.text}"


TEXTS: dict[str, Promise] = {"greeting": _("allow"), "granted": _("{firm} may call")}


def test_the_terminal_shows_the_message_with_the_number_masked(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalGateway(TEXTS).send(ID, ALICE, "granted", PARAMS, "en")
    assert capsys.readouterr().out == "SMS +86138****8000  示范贷款有限公司 may call\n"


def test_the_terminal_speaks_the_citizens_language(capsys: pytest.CaptureFixture[str]) -> None:
    TerminalGateway(TEXTS).send(ID, ALICE, "greeting", {}, "zh-hans")
    assert "allow" not in capsys.readouterr().out
