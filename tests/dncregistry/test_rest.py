"""Bad input, at every door of the API: always `application/problem+json`, never a 500, and nothing given away."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from consents.models import CheckRecord, CheckSet
from record import clock
from record.ledger import OPERATOR
from telemarketers.actions import firms
from telemarketers.models import Credential
from telemarketers.terms import Mode, Scope
from tests import world
from tests.consents.test_api_checks import CHECKS, ask, is_problem
from tests.world import ALICE, LOANS_LINE, START, World

BATCH = "/api/v1/checks/batch"
DOORS = [pytest.param(CHECKS, id="check"), pytest.param(BATCH, id="batch")]
GOOD: dict[str, Any] = {"caller": LOANS_LINE, "purpose": "loan_finance", "channel": "voice"}


def question(path: str, **terms: Any) -> dict[str, Any]:
    return GOOD | ({"callee": ALICE.e164} if path == CHECKS else {"callees": [ALICE.e164]}) | terms


def send(client: Client, key: str, body: bytes | str, path: str = CHECKS, **more: Any) -> Any:
    """Sends these bytes, whatever they are, as JSON."""
    content = body.encode() if isinstance(body, str) else body
    headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
    return client.generic("POST", path, content, **{"content_type": "application/json", "headers": headers, **more})


# --- bodies that are no question ---------------------------------------------------------------------


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"callee": ', id="cut-off"),
        pytest.param(b"callee=13800138000", id="a-form"),
        pytest.param(b"{'callee': '1'}", id="python"),
        pytest.param(b'{"callee": NaN}', id="nan"),
        pytest.param(b'{"callee": Infinity}', id="infinity"),
        pytest.param(b'{"callee": "\xff\xfe"}', id="not-utf-8"),
        pytest.param(b'{"callee": "\\ud800"}', id="a-lone-surrogate"),
        pytest.param(b'{"callee": "\xed\xa0\x80"}', id="an-encoded-surrogate"),
        pytest.param(b'{"callee": "1\x002"}', id="a-bare-nul"),
        pytest.param(b"\x00", id="nul"),
        pytest.param(b'\xef\xbb\xbf{"callee": "1"}', id="byte-order-mark"),
        pytest.param('{"callee": "1"}'.encode("utf-16"), id="utf-16"),
        pytest.param(b"[" * 100_000, id="deeper-than-anything"),
        pytest.param(b"[" * 900 + b"]" * 900, id="deeper-than-any-question"),
        pytest.param(b'{"a":' * 5_000 + b"1" + b"}" * 5_000, id="objects-in-objects"),
        pytest.param(b'{"callee": "1"} {"callee": "2"}', id="two-bodies"),
        pytest.param(b"1" * 5_000, id="digits-without-end"),
    ],
)
def test_what_is_no_json_is_a_bad_request(w: World, client: Client, path: str, body: bytes) -> None:
    answer = send(client, w.key, body, path)

    assert is_problem(answer, 400, "parse_error")


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("body", ["[]", '"callee"', "7", "null", "true", "[{}]"])
def test_json_that_is_no_object_is_refused(w: World, client: Client, path: str, body: str) -> None:
    answer = send(client, w.key, body, path)

    assert answer.status_code == 422, answer.content
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("body", ["", "{}"], ids=["nothing", "an-empty-object"])
def test_an_empty_question_is_told_what_it_lacks(w: World, client: Client, path: str, body: str) -> None:
    answer = send(client, w.key, body, path)

    assert is_problem(answer, 422, "invalid_request")
    assert {error["field"] for error in answer.json()["errors"]} >= {"caller", "channel"}
    assert {error["code"] for error in answer.json()["errors"]} == {"required"}


@pytest.mark.parametrize("path", DOORS)
def test_ten_megabytes_are_too_many(w: World, client: Client, path: str) -> None:
    body = json.dumps(question(path, client_ref="x" * 10_000_000))

    assert is_problem(send(client, w.key, body, path), 413, "body_too_large")


@pytest.mark.parametrize("path", DOORS)
def test_a_body_is_measured_whatever_length_it_claims(w: World, client: Client, path: str) -> None:
    body = json.dumps(question(path, client_ref="x" * 2_000_000))

    assert is_problem(send(client, w.key, body, path, CONTENT_LENGTH="999999999"), 413, "body_too_large")
    # A server hands over no more than was announced.
    assert send(client, w.key, body, path, CONTENT_LENGTH="10").status_code == 400


@pytest.mark.parametrize("length", ["", "0", "-1", "seven", "9" * 40])
def test_a_body_of_no_stated_length_is_no_question(w: World, client: Client, length: str) -> None:
    body = json.dumps(question(CHECKS)).encode()
    stream: dict[str, Any] = {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": length}

    answer = send(client, w.key, body, **stream)

    assert answer.status_code in (200, 400, 411, 413, 422)
    if answer.status_code != 200:
        assert answer["Content-Type"] == "application/problem+json"


def test_a_body_in_chunks_is_read_or_refused_as_such(w: World, client: Client) -> None:
    body = json.dumps(question(CHECKS)).encode()
    chunked: dict[str, Any] = {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}

    answer = send(client, w.key, body, **chunked)

    # Never told that fields are missing which it did send.
    assert answer.status_code == 200 or is_problem(answer, 411, "length_required")


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "x", "/"],
)
def test_json_is_all_that_is_read(w: World, client: Client, path: str, content_type: str) -> None:
    answer = send(client, w.key, json.dumps(question(path)), path, content_type=content_type)

    assert is_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/json;charset=x", "APPLICATION/JSON"]
)
def test_json_by_any_of_its_names(w: World, client: Client, content_type: str) -> None:
    assert send(client, w.key, json.dumps(question(CHECKS)), content_type=content_type).status_code == 200


# --- terms that cannot be read -----------------------------------------------------------------------

TERMS = [
    pytest.param({"purpose": "nothing"}, "purpose", "unknown_purpose", id="unknown-purpose"),
    pytest.param({"purpose": None, "matter": "nothing"}, "matter", "unknown_matter", id="unknown-matter"),
    pytest.param({"matter": "spring-loan"}, "purpose", "purpose_or_matter", id="both"),
    pytest.param({"purpose": None}, "purpose", "purpose_or_matter", id="neither"),
    pytest.param({"purpose": ""}, "purpose", "blank", id="empty-purpose"),
    pytest.param({"purpose": "x" * 31}, "purpose", "max_length", id="over-long-purpose"),
    pytest.param({"purpose": ["retail"]}, "purpose", "invalid", id="purpose-list"),
    pytest.param({"purpose": True}, "purpose", "invalid", id="purpose-true"),
    pytest.param({"purpose": "a\x00b"}, "purpose", "null_characters_not_allowed", id="purpose-nul"),
    pytest.param({"purpose": None, "matter": "a\x00b"}, "matter", "null_characters_not_allowed", id="matter-nul"),
    pytest.param({"purpose": None, "matter": "x" * 51}, "matter", "max_length", id="over-long-matter"),
    pytest.param({"caller": "nobody"}, "caller", "not_a_number", id="caller-words"),
    pytest.param({"caller": ""}, "caller", "empty", id="caller-empty"),
    pytest.param({"caller": "+1 202 555 0123"}, "caller", "foreign", id="caller-foreign"),
    pytest.param({"caller": "1.0E+10"}, "caller", "excel_rounded", id="caller-excel"),
    pytest.param({"caller": None}, "caller", "required", id="no-caller"),
    pytest.param({"caller": "1" * 65}, "caller", "max_length", id="caller-over-long"),
    pytest.param({"caller": "955\x0088"}, "caller", "null_characters_not_allowed", id="caller-nul"),
    pytest.param({"caller": {"number": "95588"}}, "caller", "invalid", id="caller-object"),
    pytest.param({"caller": 95588}, "caller", "invalid", id="caller-number"),
    pytest.param({"channel": "telex"}, "channel", "invalid_choice", id="unknown-channel"),
    pytest.param({"channel": "VOICE"}, "channel", "invalid_choice", id="channel-in-capitals"),
    pytest.param({"channel": ""}, "channel", "invalid_choice", id="channel-empty"),
    pytest.param({"channel": None}, "channel", "required", id="no-channel"),
    pytest.param({"channel": 1}, "channel", "invalid_choice", id="channel-number"),
    pytest.param({"channel": ["voice"]}, "channel", "invalid_choice", id="channel-list"),
    pytest.param({"channel": {"voice": True}}, "channel", "invalid_choice", id="channel-object"),
    pytest.param({"on_behalf_of": "911100"}, "on_behalf_of", "bad_credit_code", id="client-short"),
    pytest.param({"on_behalf_of": "91110000MA0000001A"}, "on_behalf_of", "bad_credit_code", id="client-mistyped"),
    pytest.param({"on_behalf_of": "💥"}, "on_behalf_of", "bad_credit_code", id="client-emoji"),
    pytest.param({"on_behalf_of": "x" * 19}, "on_behalf_of", "max_length", id="client-over-long"),
    pytest.param({"on_behalf_of": ""}, "on_behalf_of", "blank", id="client-empty"),
    pytest.param({"client_ref": "x" * 101}, "client_ref", "max_length", id="over-long-ref"),
    pytest.param({"client_ref": {}}, "client_ref", "invalid", id="ref-object"),
    pytest.param({"client_ref": "a\x00"}, "client_ref", "null_characters_not_allowed", id="ref-nul"),
    pytest.param({"for_tme": "x"}, "for_tme", "unknown_field", id="misspelt-field"),
    pytest.param({"Callee": "x"}, "Callee", "unknown_field", id="field-in-capitals"),
    pytest.param({"a.b": 1}, "a.b", "unknown_field", id="field-with-a-dot"),
    pytest.param({"x" * 5000: 1}, "x" * 100, "unknown_field", id="over-long-field"),
]


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(("terms", "field", "code"), TERMS)
def test_the_term_at_fault_is_named(
    w: World, client: Client, path: str, terms: dict[str, Any], field: str, code: str
) -> None:
    body = {name: value for name, value in question(path, **terms).items() if value is not None}

    answer = send(client, w.key, json.dumps(body), path)

    assert is_problem(answer, 422, code, field), answer.content
    assert not CheckRecord.objects.exists()
    assert not CheckSet.objects.exists()


@pytest.mark.parametrize("term", ["callee", "caller", "purpose", "channel", "on_behalf_of", "for_time", "client_ref"])
@pytest.mark.parametrize("depth", [10, 800, 1000, 1020])  # orjson goes down 1,024 levels, Python about as many
def test_a_term_as_deep_as_json_can_be(w: World, client: Client, term: str, depth: int) -> None:
    body = json.dumps(question(CHECKS) | {term: 0}).replace(f'"{term}": 0', f'"{term}": ' + "[" * depth + "]" * depth)

    answer = send(client, w.key, body)

    assert answer.status_code in (400, 422), answer.content
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    ("callee", "code"),
    [
        pytest.param(b"null", "null", id="null"),
        pytest.param(b"[]", "invalid", id="list"),
        pytest.param(b"true", "invalid", id="true"),
        pytest.param(b"{}", "invalid", id="object"),
        pytest.param(b'"138\\u000000138000"', "null_characters_not_allowed", id="nul"),
        pytest.param(b'"%s"' % (b"1" * 65), "max_length", id="over-long"),
        # As text these digits are refused as rounded by a spreadsheet; as a number they must not slip through.
        pytest.param(b"1.38001E+10", "invalid", id="rounded-number"),
        pytest.param(b"13800138000", "invalid", id="number"),
        pytest.param(b"1e400", "invalid", id="beyond-every-number"),
        pytest.param(b"9" * 400, "invalid", id="huge-number"),
    ],
)
def test_a_callee_that_is_no_text(w: World, client: Client, callee: bytes, code: str) -> None:
    body = json.dumps(question(CHECKS, callee=0)).encode().replace(b'"callee": 0', b'"callee": ' + callee)

    answer = send(client, w.key, body)

    assert answer.status_code in (400, 422), answer.content
    assert answer.json()["code"] in (code, "parse_error")


@pytest.mark.parametrize("name", ["", "3", "__proto__", "non_field_errors", "a" * 99 + "💥" * 9, "\u202e", "."])
def test_a_field_of_any_name_is_only_unknown(w: World, client: Client, name: str) -> None:
    assert is_problem(send(client, w.key, json.dumps(question(CHECKS) | {name: 1})), 422, "unknown_field")


def test_a_body_of_many_unknown_fields_is_answered_briefly(w: World, client: Client) -> None:
    body = question(CHECKS) | {f"field{index}": 1 for index in range(20_000)}

    answer = send(client, w.key, json.dumps(body))

    assert is_problem(answer, 422, "invalid_request")
    assert len(answer.content) < 5_000


def test_several_faults_are_all_named(w: World, client: Client) -> None:
    answer = ask(client, w.key, channel="telex", client_ref="x" * 101)

    assert is_problem(answer, 422, "invalid_request")
    assert {(error["field"], error["code"]) for error in answer.json()["errors"]} == {
        ("channel", "invalid_choice"),
        ("client_ref", "max_length"),
    }


def test_an_error_does_not_repeat_a_number(w: World, client: Client) -> None:
    for terms in ({"channel": ALICE.e164}, {"caller": "138-0013-8000-1"}, {"purpose": ALICE.e164}):
        assert ALICE.national not in ask(client, w.key, **terms).content.decode()


# --- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        pytest.param(None, "no_key", id="none"),
        pytest.param("", "no_key", id="empty"),
        pytest.param("Bearer", "no_key", id="scheme-only"),
        pytest.param("Bearer   ", "no_key", id="scheme-and-spaces"),
        pytest.param("Basic ZG5jOmRuYw==", "no_key", id="basic"),
        pytest.param("dnc_live_" + "a" * 32, "no_key", id="key-without-scheme"),
        pytest.param("Bearer dnc_live_" + "a" * 32, "invalid_key", id="unknown"),
        pytest.param("Bearer dnc_live_short", "invalid_key", id="short"),
        pytest.param("Bearer dnc_live_" + "a" * 100_000, "invalid_key", id="endless"),
        pytest.param("Bearer dnc_live_" + "é" * 32, "invalid_key", id="not-ascii"),
        pytest.param("Bearer dnc_live_" + "a" * 31 + "\x00", "invalid_key", id="nul"),
        pytest.param("Bearer ' OR 1=1 --", "invalid_key", id="sql"),
        pytest.param("Bearer dnc_live_" + "a" * 32 + "\n", "invalid_key", id="line-break"),
        pytest.param("Bearer dnc_live_" + "１" * 32, "invalid_key", id="full-width-digits"),
    ],
)
def test_without_a_key_in_force_nothing_is_answered(
    db: None, client: Client, path: str, authorization: str | None, code: str
) -> None:
    headers = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}

    answer = client.post(path, question(path), content_type="application/json", **headers)  # type: ignore[arg-type]

    assert is_problem(answer, 401, code)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_unknown_and_revoked_keys_are_not_told_apart(w: World, client: Client) -> None:
    revoked, revoked_key = world.issue(w.loans, START)
    firms.revoke_credential(credential=revoked, by=OPERATOR, at=clock.now())
    of_another_mode = w.key.replace("dnc_live_", "dnc_test_")

    answers = [ask(client, key) for key in (revoked_key, of_another_mode, "dnc_live_" + "a" * 32)]

    assert all(is_problem(answer, 401, "invalid_key") for answer in answers)
    assert len({answer.content for answer in answers}) == 1


def test_an_expired_key_is_as_good_as_none(w: World, client: Client) -> None:
    expired, key = world.issue(w.loans, START)
    Credential.objects.filter(pk=expired.pk).update(ends=START + timedelta(days=1))

    assert is_problem(ask(client, key), 401, "invalid_key")


@pytest.mark.parametrize("authorization", ["bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} "])
def test_how_the_scheme_is_written_does_not_matter(w: World, client: Client, authorization: str) -> None:
    headers = {"Authorization": authorization.format(w.key)}

    assert client.post(CHECKS, question(CHECKS), content_type="application/json", headers=headers).status_code == 200


@pytest.mark.parametrize(("scope", "allowed", "refused"), [(Scope.CHECK, CHECKS, BATCH), (Scope.BATCH, BATCH, CHECKS)])
def test_a_key_serves_only_what_it_was_issued_for(
    w: World, client: Client, scope: Scope, allowed: str, refused: str
) -> None:
    _, key = world.issue(w.loans, START, scopes=[scope])

    assert send(client, key, json.dumps(question(allowed)), allowed).status_code == 200
    assert is_problem(send(client, key, json.dumps(question(refused)), refused), 403, "scope_missing")


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("query", ["key={}", "{}", "a=1&token={}&b=2", "access_token=Bearer%20{}"])
@pytest.mark.parametrize("mode", list(Mode))
def test_a_key_in_an_address_is_refused_with_a_hint(
    w: World, client: Client, path: str, query: str, mode: Mode
) -> None:
    _, key = world.issue(w.loans, START, mode)

    answer = send(
        client, key, json.dumps(question(path)), f"{path}?{query.format(key)}", headers={"Accept-Language": "en"}
    )

    assert is_problem(answer, 400, "key_in_query")
    assert "Authorization: Bearer" in answer.json()["detail"]
    assert key not in answer.content.decode()


def test_a_key_in_the_address_of_a_look_up_is_refused_too(w: World, client: Client) -> None:
    assert is_problem(client.get(f"/api/v1/callers/{LOANS_LINE}?key={w.key}"), 400, "key_in_query")


def test_a_key_in_an_address_is_seen_through_its_escapes(w: World, client: Client) -> None:
    address = f"{CHECKS}?key={w.key.replace('_', '%5F')}"

    answer = client.post(address, question(CHECKS), content_type="application/json")

    assert is_problem(answer, 400, "key_in_query")


def test_a_key_is_looked_at_before_the_body(w: World, client: Client) -> None:
    assert is_problem(send(client, "dnc_live_" + "a" * 32, b"{" * 10), 401, "invalid_key")


# --- addresses and methods ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "trace"])
def test_a_wrong_method_is_told_the_right_ones(w: World, client: Client, path: str, method: str) -> None:
    answer = getattr(client, method)(path, headers={"Authorization": f"Bearer {w.key}"})

    assert answer.status_code == 405
    assert answer["Content-Type"] == "application/problem+json"
    assert "POST" in answer["Allow"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_only_read(db: None, client: Client, path: str) -> None:
    answer = client.post(path)

    assert is_problem(answer, 405, "method_not_allowed")
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options"])
@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v1/",
        "/api/v1/checks/",
        "/api/v2/checks",
        "/api/v1/checks/batch/",
        "/%00",
        "/%FF",
        "/💥",
        "/x//y",
    ],
)
def test_an_unknown_address_is_not_found(db: None, client: Client, method: str, path: str) -> None:
    assert is_problem(client.generic(method.upper(), path), 404, "not_found")


def test_an_unknown_host_is_a_bad_request(db: None, client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["registry.example"]

    assert is_problem(client.get("/api/v1/callers/95588", headers={"host": "evil.example"}), 400, "bad_request")
    assert client.get("/healthz", headers={"host": "registry.example"}).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*", "", "nonsense", "image/png;q=0", ",,,;"])
def test_an_answer_is_json_whatever_is_preferred(w: World, client: Client, accept: str) -> None:
    headers = {"Accept": accept}
    body = json.dumps(question(CHECKS))

    assert send(client, w.key, body, headers=headers)["Content-Type"] == "application/json"
    assert is_problem(send(client, "nobody", body, headers=headers), 401, "invalid_key")
    assert is_problem(client.get("/nothing", headers=headers), 404, "not_found")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-HTTP-Method-Override": "DELETE"},
        {"Content-Encoding": "gzip"},
        {"Accept-Language": "x" * 10_000},
        {"Accept-Language": "zh-\x00,en;q=nan"},
        {"Accept-Language": "*;q=2,,;"},
        {"X-Forwarded-For": "not, an, address"},
        {"X-Forwarded-For": "13800138000"},
        {"X-Request-ID": "13800138000\n"},
        {"Cookie": "sessionid=1; django_language=../../etc"},
        {"Range": "bytes=0-1"},
        {"If-None-Match": "*"},
        {"Expect": "100-continue"},
        {"User-Agent": "\xff\x00"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_odd_headers_change_nothing(w: World, client: Client, headers: dict[str, str]) -> None:
    assert send(client, w.key, json.dumps(question(CHECKS)), headers=headers).status_code == 200


# --- language ----------------------------------------------------------------------------------------

SAID: list[tuple[str, Callable[[World, Client, dict[str, str]], Any]]] = [
    ("one of them, not both", lambda w, c, h: send(c, w.key, json.dumps(question(CHECKS, matter="x")), headers=h)),
    ("This field is required", lambda w, c, h: send(c, w.key, json.dumps({"caller": "1"}), headers=h)),
    ("no such purpose", lambda w, c, h: send(c, w.key, json.dumps(question(CHECKS, purpose="x")), headers=h)),
    ("not valid JSON", lambda w, c, h: send(c, w.key, "{", headers=h)),
    ("unknown, revoked or expired", lambda w, c, h: send(c, "dnc_live_x", "{}", headers=h)),
    ("nothing at this address", lambda w, c, h: c.get("/nothing", headers=h)),
    ("no such field", lambda w, c, h: send(c, w.key, json.dumps(question(CHECKS, x=1)), headers=h)),
    ("Unsupported media type", lambda w, c, h: send(c, w.key, "x", headers=h, content_type="text/plain")),
]


@pytest.mark.parametrize(("sentence", "asked"), SAID, ids=[sentence for sentence, _asked in SAID])
@pytest.mark.parametrize("language", ["en", "en-GB,en;q=0.9,zh;q=0.1"])
def test_english_is_spoken_to_who_asks_for_it(
    w: World, client: Client, language: str, sentence: str, asked: Callable[[World, Client, dict[str, str]], Any]
) -> None:
    answer = asked(w, client, {"Accept-Language": language})

    assert sentence in answer.content.decode()
    assert answer["Content-Language"] == "en"


def test_a_code_is_the_same_in_every_language(w: World, client: Client) -> None:
    codes = {
        send(client, w.key, json.dumps(question(CHECKS, purpose="x")), headers={"Accept-Language": language}).json()[
            "code"
        ]
        for language in ("en", "zh", "fr")
    }

    assert codes == {"unknown_purpose"}
