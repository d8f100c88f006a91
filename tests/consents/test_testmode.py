"""Test keys: documented numbers, one for each reason; no subscriber's table is read, nothing is kept (design §7)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from consents import actions
from consents.models import AllowDay, CheckRecord, CheckSegment, CheckSet
from consents.terms import ALLOWED, Reason
from consents.testmode import CANNOT_RULE, NUMBERS
from record import clock
from record.models import Event
from record.numbers import PhoneNumber
from record.plan import Kind, kind_of
from telemarketers.terms import Mode
from tests import world
from tests.consents.test_api_batch import ask_many
from tests.consents.test_api_checks import ask, claims_of, from_base64, is_problem, ran
from tests.world import ALICE, LOANS_LINE, START, SUBSCRIBER, World

# As docs/api.md lists them.
DOCUMENTED = {
    "10100000000": "block invalid_number",
    "10100000001": "block firm_not_approved",
    "10100000002": "block firm_barred",
    "10100000003": "block not_mandated",
    "10100000004": "block caller_unregistered",
    "10100000005": "block caller_suspended",
    "10100000006": "block purpose_not_licensed",
    "10100000007": "allow exempt",
    "10100000008": "block authorization_revoked",
    "10100000009": "block firm_refused",
    "10100000010": "block authorization_expired",
    "10100000011": "block no_authorization",
    "10100000012": "block registered",
    "10100000013": "block outside_hours",
    "10100000014": "block cap_reached",
    "10100000015": "allow authorized",
    "10100000016": "allow not_registered",
}


@pytest.fixture
def key(w: World) -> str:
    return world.issue(w.loans, START, Mode.TEST)[1]


def test_there_is_a_number_for_each_reason() -> None:
    assert len(DOCUMENTED) == len(NUMBERS) == len(Reason)
    assert {told.split()[1] for told in DOCUMENTED.values()} == set(Reason)
    assert {told.split()[1] for told in DOCUMENTED.values() if told.startswith("allow")} == ALLOWED


@pytest.mark.parametrize("number", [*NUMBERS, CANNOT_RULE], ids=lambda number: number.national)
def test_a_test_number_can_be_nobodys(number: PhoneNumber) -> None:
    assert kind_of(number).kind == Kind.UNKNOWN


@pytest.mark.parametrize(("callee", "told"), DOCUMENTED.items())
def test_each_number_is_answered_with_its_reason(key: str, client: Client, callee: str, told: str) -> None:
    answer = ask(client, key, callee=callee, client_ref="a test")

    body = answer.json()
    assert answer.status_code == 200
    assert f"{body['verdict']} {body['reason']}" == told
    assert body["callee"] == f"+86{callee}"
    assert (body["policy"], body["client_ref"]) == ("test", "a test")
    assert ("detail" in body) == (
        body["reason"] in {"invalid_number", "firm_not_approved", "firm_barred", "purpose_not_licensed"}
    )
    checked_at = datetime.fromisoformat(body["checked_at"])
    assert datetime.fromisoformat(body["valid_until"]) == checked_at + timedelta(minutes=15)


def test_all_of_them_in_one_batch(key: str, client: Client) -> None:
    body = ask_many(client, key, list(DOCUMENTED)).json()

    assert [f"{row['verdict']} {row['reason']}" for row in body["results"]] == list(DOCUMENTED.values())
    assert body["policy"] == "test"
    assert claims_of(body["receipt"], client)["test"] is True


@pytest.mark.parametrize("spelled", ["10100000015", "+86 101 0000 0015", "0086-10100000015"])
def test_a_test_number_may_be_spelled_like_any_other(key: str, client: Client, spelled: str) -> None:
    assert ask(client, key, callee=spelled).json()["reason"] == "authorized"


@pytest.mark.parametrize("callee", [ALICE.e164, "10100000017", "10100000098", "12345", ""])
def test_any_other_number_is_no_test_number(key: str, client: Client, callee: str) -> None:
    assert is_problem(ask(client, key, callee=callee), 422, "not_a_test_number", "callee")


@pytest.mark.parametrize(
    ("callees", "field"),
    [
        pytest.param(["10100000012", "10100000015", "10100000016", ALICE.e164], "callees[3]", id="the-fourth"),
        pytest.param([ALICE.e164, "10100000012"], "callees[0]", id="the-first"),
        pytest.param([ALICE.e164], "callees[0]", id="the-only-one"),
    ],
)
def test_a_batch_says_which_is_no_test_number(key: str, client: Client, callees: list[str], field: str) -> None:
    assert is_problem(ask_many(client, key, callees), 422, "not_a_test_number", field)


def test_one_number_stands_for_a_registry_that_cannot_rule(key: str, client: Client) -> None:
    for answer in (
        ask(client, key, callee="10100000099"),
        ask_many(client, key, ["10100000015", "10100000099"]),
    ):
        assert is_problem(answer, 503, "cannot_rule")
        assert int(answer["Retry-After"]) >= 1


def test_a_test_receipt_cannot_pass_for_a_live_one(w: World, key: str, client: Client, settings: Settings) -> None:
    of_test = ask(client, key, callee="10100000015").json()["receipt"]
    of_live = ask(client, w.key).json()["receipt"]

    tested, live = claims_of(of_test, client), claims_of(of_live, client)

    assert tested["test"] is True
    assert "test" not in live
    assert tested["iss"] == f"{settings.RECEIPT_ISSUERS[0]}/test" != live["iss"]
    assert key_id(of_test) != key_id(of_live)
    published = {each["kid"]: each["x"] for each in client.get("/.well-known/jwks.json").json()["keys"]}
    assert published[key_id(of_test)] != published[key_id(of_live)]


def key_id(receipt: str) -> Any:
    return json.loads(from_base64(receipt.split(".", maxsplit=1)[0]))["kid"]


@pytest.mark.parametrize("about", [{"purpose": "loan_finance"}, {"purpose": None, "matter": "spring-loan"}])
def test_no_table_of_subscribers_is_read_and_nothing_is_written(
    w: World, key: str, client: Client, about: dict[str, Any]
) -> None:
    actions.register(holding=w.hold(), by=SUBSCRIBER, at=clock.now())
    events = Event.objects.count()

    with CaptureQueriesContext(connection) as queries:
        ask(client, key, callee="10100000015", **about)
        ask(client, key, callee=ALICE.e164, **about)
        ask_many(client, key, ["10100000015", "10100000012"], **about)

    assert ran(queries)
    for sql in ran(queries):
        assert sql.startswith("SELECT"), sql
    assert world.of_subscribers(ran(queries)) == []
    assert Event.objects.count() == events
    assert not any(model.objects.exists() for model in (CheckRecord, CheckSet, CheckSegment, AllowDay))


def test_a_test_key_reads_the_question_as_strictly_as_a_live_one(key: str, client: Client) -> None:
    assert is_problem(ask(client, key, callee="10100000015", purpose="nothing"), 422, "unknown_purpose", "purpose")
    assert is_problem(
        ask(client, key, callee="10100000015", purpose=None, matter="nothing"), 422, "unknown_matter", "matter"
    )
    assert is_problem(ask(client, key, callee="10100000015", caller="nobody"), 422, "not_a_number", "caller")


def test_a_test_number_is_ruled_like_any_other_for_a_live_key(w: World, client: Client) -> None:
    assert ask(client, w.key, callee="10100000015", caller=LOANS_LINE).json()["reason"] == "no_authorization"
