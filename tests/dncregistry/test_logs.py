"""Law 8 in the logs: whatever a request holds, no subscriber's number and no key comes out in a line."""

from __future__ import annotations

import json
import logging
import urllib.parse
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from django.db import connection
from django.test import Client

from dncregistry import logs
from tests.consents.test_api_checks import CHECKS, ask
from tests.world import ALICE, World

SPELLINGS = [
    pytest.param("13800138000", id="plain"),
    pytest.param("+8613800138000", id="e164"),
    pytest.param("0086 138 0013 8000", id="spaces"),
    pytest.param("138-0013-8000", id="dashes"),
    pytest.param("138.0013.8000", id="dots"),
    pytest.param("１３８００１３８０００", id="full-width"),
    pytest.param("138 0013 8000", id="groups"),
]


@pytest.fixture(params=["json", "text"])
def written(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """What the configured formatters write, every logger speaking at its loudest."""
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    configured = logs.configure(as_json=request.param == "json")["formatters"]["masked"]
    handler.setFormatter(logs.MaskingFormatter(**{name: configured[name] for name in configured if name != "()"}))
    root = logging.getLogger()
    speakers = [root, *(logging.getLogger(name) for name in ("django", "django.request", "django_structlog"))]
    levels = [(speaker, speaker.level) for speaker in speakers]
    for speaker in speakers:
        speaker.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield lines
    root.removeHandler(handler)
    for speaker, level in levels:
        speaker.setLevel(level)


def digits_of(text: str) -> str:
    """The digits in a text, of whatever script, with escapes undone: what somebody who searches logs would find."""
    plain = urllib.parse.unquote(urllib.parse.unquote(text))
    return "".join(str(int(character)) for character in plain if character.isdecimal())


def assert_no_number(text: str) -> None:
    assert text
    for line in text.splitlines():
        assert ALICE.national not in digits_of(line), line


@pytest.mark.parametrize("number", SPELLINGS)
def test_a_request_full_of_numbers_leaves_none(w: World, client: Client, written: StringIO, number: str) -> None:
    header = number if number.isascii() else ALICE.e164
    headers = {"User-Agent": header, "X-Request-ID": header, "X-Correlation-ID": header, "Referer": header}
    body = {"callee": number, "caller": number, "client_ref": number, "channel": number, "purpose": number, number: 1}

    client.post(CHECKS, body, content_type="application/json", headers=headers | {"Authorization": f"Bearer {w.key}"})
    client.post(CHECKS, number, content_type="text/plain", headers=headers | {"Authorization": f"Bearer {number}"})
    ask(client, w.key, callee=number, client_ref=number)
    ask(client, w.key, caller=number)

    assert "request_started" in written.getvalue()
    assert_no_number(written.getvalue())


@pytest.mark.parametrize("number", SPELLINGS)
@pytest.mark.parametrize("address", ["/api/v1/callers/{}", "/nothing/{}", "/api/v1/callers/95588?of={}", "/?{}"])
def test_a_number_in_an_address_is_masked(
    w: World, client: Client, written: StringIO, address: str, number: str
) -> None:
    client.get(address.format(urllib.parse.quote(number)))

    assert_no_number(written.getvalue())


def test_a_number_in_an_address_is_masked_though_every_digit_is_escaped(
    w: World, client: Client, written: StringIO
) -> None:
    escaped = "".join(f"%{ord(digit):02x}" for digit in ALICE.national)

    client.get(f"/api/v1/callers/{escaped}?of={escaped}")

    assert_no_number(written.getvalue())


@pytest.mark.parametrize("escape", [False, True], ids=["plain", "escaped"])
def test_a_key_is_never_written(w: World, client: Client, written: StringIO, escape: bool) -> None:
    secret = w.key.removeprefix("dnc_live_")
    in_address = w.key.replace("_", "%5F") if escape else w.key

    ask(client, w.key, client_ref=w.key, purpose=w.key[:30])
    client.post(f"{CHECKS}?key={in_address}", {}, content_type="application/json")
    client.get(f"/api/v1/callers/{in_address}", headers={"User-Agent": w.key, "X-Correlation-ID": w.key})

    assert written.getvalue()
    assert secret not in urllib.parse.unquote(written.getvalue())


def test_a_traceback_and_its_locals_hold_no_number(w: World, client: Client, written: StringIO) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE consents_checkrecord RENAME TO out_of_reach")

    assert ask(client, w.key, client_ref=ALICE.e164, caller="13700137000").status_code == 503

    assert "Traceback" in written.getvalue()
    assert_no_number(written.getvalue())
    assert "13700137000" not in written.getvalue()


def test_arguments_and_other_libraries_lines_are_masked(written: StringIO) -> None:
    logging.getLogger("somebody.elses").warning("called %s", ALICE.e164)
    structlog.get_logger("ours").warning("called", number=ALICE.e164, nested={"of": [ALICE.national]})

    assert_no_number(written.getvalue())
    assert "+86138****8000" in written.getvalue()


def test_a_line_can_still_be_read(w: World, client: Client, written: StringIO) -> None:
    client.get("/api/v1/callers/95588")

    assert "GET /api/v1/callers/95588" in written.getvalue()
    assert "request_finished" in written.getvalue()


def test_production_writes_one_json_object_a_line(w: World, client: Client, written: StringIO) -> None:
    ask(client, w.key, client_ref="a\nb")

    lines = written.getvalue().splitlines()
    if lines[0].startswith("{"):  # as_json
        assert all({"event", "level", "timestamp"} <= set(json.loads(line)) for line in lines)
    else:
        assert all(line.startswith("timestamp=") for line in lines)
