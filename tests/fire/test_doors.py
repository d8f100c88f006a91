"""Every door, as a stranger tries it: routes without a key, questions made from the schema, pages and their parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.cache import caches
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, settings
from jsonschema import Draft4Validator  # type: ignore[import-untyped]
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from dncregistry.wsgi import application
from telemarketers.terms import Mode
from tests import world
from tests.world import START, World

# Whatever is not here answers nobody without a key.
PUBLIC = {
    "/",
    "/api/v1/callers/<str:number>",
    "/.well-known/jwks.json",
    "/api/schema/",
    "/api/docs/",
    "/healthz",
    "/readyz",
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


# --- keys --------------------------------------------------------------------------------------------


def routes(resolver: URLResolver | None = None, prefix: str = "/") -> Iterator[str]:
    """Every address that the program answers, as written in its URL configuration."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, prefix + str(pattern.pattern))
        else:
            assert isinstance(pattern, URLPattern)
            yield prefix + str(pattern.pattern)


def test_the_list_of_public_routes_is_no_longer_than_needed() -> None:
    assert set(routes()) >= PUBLIC


@pytest.mark.parametrize("route", [route for route in routes() if route not in PUBLIC])
@pytest.mark.parametrize("method", METHODS)
def test_a_route_answers_nobody_without_a_key(db: None, client: Client, route: str, method: str) -> None:
    answer = client.generic(method, re.sub(r"<[^>]*>", "1", route), b"{}", content_type="application/json")

    assert answer.status_code in (401, 405), (method, route, answer.content)
    assert answer["Content-Type"] == "application/problem+json"


# --- the schema --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    answer = Client().get("/api/schema/", headers={"Accept-Language": "en"})
    assert answer.status_code == 200
    read: dict[str, Any] = yaml.safe_load(answer.content)
    return read


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_schema_is_valid_openapi(document: dict[str, Any]) -> None:
    validate_schema(document)


def test_the_schema_names_the_routes_of_the_api_and_no_others(document: dict[str, Any]) -> None:
    documented = {re.sub(r"\{[^}]*\}", "{}", path) for path in document["paths"]}
    served = {re.sub(r"<[^>]*>", "{}", route) for route in routes()}

    assert documented == {route for route in served if route.startswith(("/api/v1/", "/.well-known/"))}


def test_operations_say_what_key_they_need(document: dict[str, Any]) -> None:
    needs_key = {name: bool(operation.get("security")) for name, operation in operations(document)}

    assert needs_key == {
        "GET /.well-known/jwks.json": False,
        "GET /api/v1/callers/{number}": False,
        "POST /api/v1/checks": True,
        "POST /api/v1/checks/batch": True,
        "POST /api/v1/receipts/confirm": True,
        "POST /api/v1/authorizations/search": True,
        "POST /api/v1/refusals": True,
        "GET /api/v1/calling-numbers": True,
        "POST /api/v1/calling-numbers": True,
        "POST /api/v1/calling-numbers/{id}/withdraw": True,
        "GET /api/v1/matters": True,
        "POST /api/v1/matters": True,
        "POST /api/v1/matters/{code}/withdraw": True,
        "GET /api/v1/mandates": True,
        "POST /api/v1/mandates": True,
        "POST /api/v1/mandates/{id}/confirm": True,
        "POST /api/v1/mandates/{id}/end": True,
    }


def test_operations_keep_their_names(document: dict[str, Any]) -> None:
    """Generated clients call them by these."""
    assert {operation["operationId"] for _name, operation in operations(document)} == {
        *("checks_create", "checks_batch_create", "callers_retrieve", "receipt_keys", "receipts_confirm"),
        *("authorizations_search", "refusals_create"),
        *("calling_numbers_list", "calling_numbers_create", "calling_numbers_withdraw"),
        *("matters_list", "matters_create", "matters_withdraw"),
        *("mandates_list", "mandates_create", "mandates_confirm", "mandates_end"),
    }


def test_every_change_takes_an_idempotency_key_and_nothing_else_does(document: dict[str, Any]) -> None:
    takes_one = {
        name
        for name, operation in operations(document)
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    }
    asks = {"checks", "checks/batch", "receipts/confirm", "authorizations/search"}
    assert takes_one == {
        name
        for name, _operation in operations(document)
        if name.startswith("POST ") and name.removeprefix("POST /api/v1/") not in asks
    }


def test_operations_list_every_status_that_they_answer(document: dict[str, Any]) -> None:
    """405 goes without saying: an operation is a method."""
    listed = {name: set(operation["responses"]) for name, operation in operations(document)}
    of_checks = {"200", "400", "401", "403", "411", "413", "415", "422", "429", "503"}

    assert listed["POST /api/v1/checks"] == of_checks
    assert listed["POST /api/v1/checks/batch"] == of_checks
    of_lists = {"200", "400", "401", "403", "422", "429", "503"}
    for name, statuses in listed.items():
        if name.startswith("GET /api/v1/") and "callers" not in name:
            assert statuses == of_lists, name
        if name.startswith("POST /api/v1/") and "{" in name:
            assert statuses == of_checks | {"404", "409"}, name
    of_submissions = of_checks - {"200"} | {"201", "409"}
    for path in ("calling-numbers", "matters", "mandates", "refusals"):
        assert listed[f"POST /api/v1/{path}"] == of_submissions, path
    assert listed["POST /api/v1/authorizations/search"] == of_checks
    assert listed["POST /api/v1/receipts/confirm"] == of_checks | {"404"}
    assert listed["GET /api/v1/callers/{number}"] >= {"200", "404", "429", "503"}


def examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    for name, operation in operations(document):
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for media in (media for body in bodies for media in body.get("content", {}).values()):
            for title, example in media.get("examples", {}).items():
                yield f"{name} {title}", media["schema"], example["value"]


def test_the_examples_are_valid_against_the_schema(document: dict[str, Any]) -> None:
    components = as_json_schema(document["components"])
    found = list(examples(document))
    assert len(found) >= 4
    for name, schema, value in found:
        faults = list(Draft4Validator({"allOf": [as_json_schema(schema)], "components": components}).iter_errors(value))
        assert not faults, (name, faults)


def as_json_schema(schema: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema says `anyOf`."""
    if isinstance(schema, list):
        return [as_json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: as_json_schema(part) for name, part in schema.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


def test_every_operation_that_takes_a_body_shows_one(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            assert media.get("examples"), name
        (done,) = operation["responses"].keys() & {"200", "201"}
        (answered,) = operation["responses"][done]["content"].values()
        assert answered.get("examples") or "jwks" in name, name


# --- the schema's own fuzz ---------------------------------------------------------------------------


@pytest.fixture
def one_connection() -> Iterator[None]:
    """A server closes old connections between requests; a test is one long transaction on one (as Django's client)."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


live = schemathesis.openapi.from_wsgi("/api/schema/", application)


@live.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@pytest.mark.slow
@pytest.mark.usefixtures("one_connection")
def test_no_question_breaks_the_schema(case: schemathesis.Case, w: World) -> None:
    caches["default"].clear()
    case.call_and_validate(
        headers={"Authorization": f"Bearer {w.key}"},
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
            unsupported_method,
        ],
    )


# --- the pages ---------------------------------------------------------------------------------------


def test_the_documentation_is_made_of_our_own_parts_alone(db: None, client: Client) -> None:
    page = client.get("/api/docs/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")

    parts = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)""", page.content.decode())
    assert len(parts) >= 3
    for part in parts:
        assert part.startswith("/") and not part.startswith("//"), part
        answer = client.get(part)
        content = b"".join(answer) if answer.streaming else answer.content
        assert answer.status_code == 200, part
        assert content, part


def test_the_documentations_script_fetches_the_schema_from_us(db: None, client: Client) -> None:
    script = client.get("/api/docs/?script=")

    assert script.status_code == 200
    assert "/api/schema/" in script.content.decode()
    assert not re.findall(r"""["'](?:https?:)?//[^"']+""", script.content.decode())


def test_the_first_page_leads_to_the_documentation(db: None, client: Client) -> None:
    assert client.get("/")["Location"] == "/api/docs/"


def test_a_test_key_opens_the_same_doors(w: World, client: Client) -> None:
    _, key = world.issue(w.loans, START, Mode.TEST)
    body = {"callee": "10100000015", "caller": "010 6552 9988", "purpose": "loan_finance", "channel": "voice"}

    answer = client.post(
        "/api/v1/checks", body, content_type="application/json", headers={"Authorization": f"Bearer {key}"}
    )

    assert answer.json()["reason"] == "authorized"
