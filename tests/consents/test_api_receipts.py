"""One row of a batch, or a single check, confirmed to its parties and to nobody else (design §7, law 5)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from consents import actions
from consents.models import CheckRecord
from record import clock
from record.numbers import PhoneNumber
from telemarketers.terms import Mode, Scope
from tests import world
from tests.consents.test_api_batch import ask_many
from tests.consents.test_api_checks import ask, is_problem, mandate, ran
from tests.world import ALICE, BOB, LOANS_LINE, START, SUBSCRIBER, World

CONFIRM = "/api/v1/receipts/confirm"
FIELDS = (
    *("jti", "number", "verdict", "reason", "checked_at", "for_time", "valid_until"),
    *("caller", "purpose", "matter", "channel", "policy"),
)


def confirm(client: Client, key: str, jti: str, number: str = ALICE.e164, **more: Any) -> Any:
    content = json.dumps({"jti": jti, "number": number, **more})
    return client.post(CONFIRM, content, content_type="application/json", headers={"Authorization": f"Bearer {key}"})


def test_a_single_check_is_confirmed_as_it_was_told(all_day: World, client: Client) -> None:
    all_day.authorize(at=clock.now())
    asked = ask(client, all_day.key, purpose=None, matter="spring-loan").json()

    answer = confirm(client, all_day.key, asked["id"], "138 0013 8000")

    assert answer.status_code == 200
    body = answer.json()
    assert tuple(body) == FIELDS
    told = {name: asked[name] for name in FIELDS if name in asked}
    assert {name: body[name] for name in told} == told
    assert (body["jti"], body["number"], body["verdict"]) == (asked["id"], ALICE.e164, "allow")
    assert body["for_time"] == asked["checked_at"]


def test_every_row_of_a_batch_is_confirmed_as_it_was_told(all_day: World, client: Client) -> None:
    numbers = [PhoneNumber(f"+86138001380{index:02}") for index in range(40)]
    for number in numbers[::3]:
        all_day.authorize(about=all_day.purpose("loan_finance"), number=number, at=clock.now())
    batch = ask_many(client, all_day.key, [*(number.e164 for number in numbers), "12345", numbers[0].e164]).json()

    for row in batch["results"]:
        if row["number"] is None:
            continue
        body = confirm(client, all_day.key, batch["id"], row["number"]).json()
        assert (body["verdict"], body["reason"]) == (row["verdict"], row["reason"])
        assert body["valid_until"] == batch["valid_until"]
    assert {row["verdict"] for row in batch["results"]} == {"allow", "block"}


def test_the_true_reason_stays_untold(w: World, client: Client) -> None:
    actions.refuse_firm(holding=w.hold(), firm=w.loans, by=SUBSCRIBER, at=clock.now())
    single, batch = ask(client, w.key).json(), ask_many(client, w.key, [ALICE.e164]).json()
    assert CheckRecord.objects.get().inner_reason == "firm_refused"

    for jti in (single["id"], batch["id"]):
        answer = confirm(client, w.key, jti)
        assert answer.json()["reason"] == "no_authorization"
        assert b"firm_refused" not in answer.content


def test_a_receipt_is_confirmed_as_it_was_though_things_have_changed(w: World, client: Client) -> None:
    asked = ask(client, w.key).json()
    w.authorize(about=w.purpose("loan_finance"), at=clock.now())

    assert confirm(client, w.key, asked["id"]).json()["reason"] == "no_authorization"


@pytest.mark.parametrize("asked_by", ["firm", "principal"])
def test_both_parties_may_ask(w: World, client: Client, asked_by: str) -> None:
    mandate(w, agent=w.centre, client=w.loans)
    centre_key = world.issue(w.centre, START)[1]
    terms = {"on_behalf_of": w.loans.credit_code}
    key = centre_key if asked_by == "firm" else w.key

    for jti in (
        ask(client, centre_key, **terms).json()["id"],
        ask_many(client, centre_key, [ALICE.e164], **terms).json()["id"],
    ):
        body = confirm(client, key, jti).json()
        assert (body["caller"], body["purpose"]) == (LOANS_LINE, "loan_finance")


def test_unknown_foreign_and_not_in_the_set_are_one_answer(w: World, client: Client) -> None:
    shop_key = world.issue(w.shop, START)[1]
    single, batch = ask(client, w.key).json(), ask_many(client, w.key, [ALICE.e164]).json()
    no_number = ask(client, w.key, callee="12345").json()

    def nothing(key: str, jti: str, number: str = ALICE.e164) -> bytes:
        answer = confirm(client, key, jti, number)
        assert is_problem(answer, 404, "receipt_unknown")
        content: bytes = answer.content
        return content

    answers = {
        nothing(w.key, str(uuid.uuid4())),
        nothing(w.key, "00000000-0000-0000-0000-000000000000"),
        nothing(shop_key, single["id"]),
        nothing(shop_key, batch["id"]),
        nothing(w.key, single["id"], BOB.e164),
        nothing(w.key, batch["id"], BOB.e164),
        nothing(w.key, no_number["id"]),
    }
    assert len(answers) == 1
    with CaptureQueriesContext(connection) as unknown:
        nothing(shop_key, str(uuid.uuid4()))
    with CaptureQueriesContext(connection) as foreign:
        nothing(shop_key, batch["id"])
    assert len(ran(unknown)) == len(ran(foreign))


@pytest.mark.parametrize(
    ("sent", "field", "code"),
    [
        ({"jti": "x"}, "jti", "invalid"),
        ({"number": "12345"}, "number", "length"),
        ({"number": ""}, "number", "empty"),
        ({"receipt": "x"}, "receipt", "unknown_field"),
    ],
)
def test_what_cannot_be_read_is_refused(w: World, client: Client, sent: dict[str, str], field: str, code: str) -> None:
    jti = ask(client, w.key).json()["id"]

    assert is_problem(confirm(client, w.key, **({"jti": jti} | sent)), 422, code, field)


def test_a_row_is_found_under_a_number_key_that_is_being_retired(
    w: World, client: Client, rotate_number_key: Callable[[], None]
) -> None:
    single, batch = ask(client, w.key, caller=BOB.e164).json(), ask_many(client, w.key, [ALICE.e164]).json()
    rotate_number_key()

    assert confirm(client, w.key, single["id"]).json()["caller"] == BOB.e164
    assert confirm(client, w.key, batch["id"]).json()["reason"] == "no_authorization"


@pytest.mark.parametrize("scope", [Scope.CHECK, Scope.BATCH])
def test_a_key_that_may_check_may_confirm(w: World, client: Client, scope: Scope) -> None:
    jti = ask(client, w.key).json()["id"]

    assert confirm(client, world.issue(w.loans, START, scopes=[scope])[1], jti).status_code == 200
    _, key = world.issue(w.loans, START, scopes=[Scope.ACCOUNT, Scope.AUTHORIZATIONS])
    assert is_problem(confirm(client, key, jti), 403, "scope_missing")


def test_a_test_key_is_answered_by_the_test_numbers_and_reads_no_record(w: World, client: Client) -> None:
    _, key = world.issue(w.loans, START, Mode.TEST)
    jti = ask(client, w.key).json()["id"]
    with CaptureQueriesContext(connection) as queries:
        body = confirm(client, key, jti, "10100000012").json()

    assert tuple(body) == FIELDS
    assert (body["verdict"], body["reason"], body["policy"], body["caller"]) == ("block", "registered", "test", None)
    assert world.of_subscribers(query["sql"] for query in queries) == []
    assert is_problem(confirm(client, key, jti), 422, "not_a_test_number", "number")
    assert is_problem(confirm(client, key, jti, "10100000099"), 503, "cannot_rule")
