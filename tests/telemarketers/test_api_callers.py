"""Who is this number? The public look-up, which knows firms' and service numbers and nobody else's."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from consents import actions
from record import clock
from record.ledger import OPERATOR
from record.numbers import parse_caller
from telemarketers.actions import firms, rules
from telemarketers.terms import Step
from tests import world
from tests.consents.test_api_checks import early_in_a_minute, is_problem, ran
from tests.world import ALICE, CENTRE_LINE, LOANS_LINE, SHOP_LINE, START, SUBSCRIBER, World


def look_up(client: Client, number: str, **headers: str) -> Any:
    return client.get(f"/api/v1/callers/{quote(number, safe='')}", headers=headers)


@pytest.mark.parametrize("spelled", ["+861065529988", "01065529988", "010 6552 9988", "(010)65529988"])
def test_a_firms_number_in_any_spelling(w: World, client: Client, spelled: str) -> None:
    answer = look_up(client, spelled, accept_language="en")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {
        "number": LOANS_LINE,
        "display_name": "示范贷款",
        "firm": {"name": "示范贷款有限公司", "credit_code": "91110000MA0000001L"},
        "purposes": ["loan_finance", "verification"],
        "standing": "good",
        "range": {"kind": "fixed", "name": "Fixed line", "carrier": ""},
    }


def test_it_needs_no_key(w: World, client: Client) -> None:
    assert look_up(client, SHOP_LINE).status_code == 200
    assert look_up(client, SHOP_LINE, authorization="Bearer nonsense").status_code == 200


def test_a_service_code_that_nobody_registered_still_has_a_range(w: World, client: Client) -> None:
    body = look_up(client, "95588").json()

    assert (body["number"], body["firm"], body["standing"]) == ("95588", None, None)
    assert (body["display_name"], body["purposes"]) == ("", [])
    assert body["range"]["kind"] == "service_95"


@pytest.mark.parametrize("number", [ALICE.e164, "13700137000", "02152345678", "nobody", "1" * 300, "ＡＢ"])
def test_a_number_that_is_no_firms_is_unknown(w: World, client: Client, number: str) -> None:
    actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)

    assert is_problem(look_up(client, number), 404, "caller_unknown")


def test_a_subscribers_number_is_as_unknown_as_nobodys(w: World, client: Client) -> None:
    w.authorize(at=clock.now())

    with CaptureQueriesContext(connection) as queries:
        answers = [look_up(client, number) for number in (ALICE.e164, "13700137000", "nobody")]

    assert len({answer.content for answer in answers}) == 1
    assert ALICE.national not in answers[0].content.decode()
    assert world.of_subscribers(ran(queries)) == []


@pytest.mark.parametrize(
    "path",
    ["%00", "95588%00", "%FF%FE", "%ED%A0%80", "..%2F..%2Fetc", "%2B", "%20", "95588;x=1", "95588%0d%0aX:1", "💥"],
)
def test_odd_addresses_are_answered(w: World, client: Client, path: str) -> None:
    answer = client.get(f"/api/v1/callers/{path}")

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["", "95588/", "95588/x"])
def test_an_address_beside_it_is_nothing(db: None, client: Client, path: str) -> None:
    assert is_problem(client.get(f"/api/v1/callers/{path}"), 404, "not_found")


def test_a_withdrawn_number_is_nobodys_any_more(w: World, client: Client) -> None:
    firms.withdraw_calling_number(calling_number=w.centre.calling_numbers.get(), by=OPERATOR, at=clock.now())

    assert look_up(client, CENTRE_LINE).status_code == 404


@pytest.mark.parametrize(
    ("step", "standing"),
    [(Step.REMINDER, "good"), (Step.RECTIFICATION, "good"), (Step.SUSPENSION, "suspended"), (Step.BAR, "barred")],
)
@pytest.mark.parametrize("on", ["firm", "caller", "caller_range"])
def test_it_shows_what_the_regulator_decided(w: World, client: Client, step: Step, standing: str, on: str) -> None:
    target: dict[str, Any] = {"firm": w.loans, "caller": LOANS_LINE, "caller_range": LOANS_LINE[:6]}
    sanction = rules.propose_sanction(
        step=step, reason="投诉", rule="第一条", remedy="整改", by=w.staff, at=clock.now(), **{on: target[on]}
    )
    assert look_up(client, LOANS_LINE).json()["standing"] == "good"

    rules.approve_sanction(sanction=sanction, by=w.other_staff, at=clock.now())

    assert look_up(client, LOANS_LINE).json()["standing"] == standing
    assert look_up(client, SHOP_LINE).json()["standing"] == "good"


def test_a_firm_that_is_not_approved_any_more(w: World, client: Client) -> None:
    firms.end_approval(approval=w.loans.approvals.get(), by=OPERATOR, at=clock.now())

    assert look_up(client, LOANS_LINE).json()["standing"] == "not_approved"


def test_licences_that_ended_are_not_shown(w: World, client: Client) -> None:
    firms.end_licence(licence=w.loans.licences.get(purpose="verification"), by=OPERATOR, at=clock.now())

    assert look_up(client, LOANS_LINE).json()["purposes"] == ["loan_finance"]


def test_a_registered_service_code_names_its_firm(w: World, client: Client) -> None:
    code = parse_caller("400 812 3456")
    firms.add_calling_number(firm=w.shop, number=code, display_name="商店", by=OPERATOR, at=START)

    body = look_up(client, "4008123456").json()

    assert (body["number"], body["display_name"]) == ("4008123456", "商店")
    assert body["range"]["kind"] == "toll_shared_400"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_only_read(w: World, client: Client, method: str) -> None:
    answer = getattr(client, method)(f"/api/v1/callers/{SHOP_LINE}")

    assert is_problem(answer, 405, "method_not_allowed")
    assert "GET" in answer["Allow"]


def test_each_address_has_its_own_limit(w: World, client: Client, settings: Settings) -> None:
    early_in_a_minute()
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "callers": 1}

    first, second = look_up(client, SHOP_LINE), look_up(client, "nobody")

    assert first["RateLimit-Policy"] == '"callers";q=1;w=60'
    assert is_problem(second, 429, "rate_limited")
    assert 1 <= int(second["Retry-After"]) <= 60
    assert Client(REMOTE_ADDR="192.0.2.7").get(f"/api/v1/callers/{SHOP_LINE}").status_code == 200


def test_it_costs_few_queries(w: World, client: Client) -> None:
    with CaptureQueriesContext(connection) as queries:
        began = time.monotonic()
        assert look_up(client, LOANS_LINE).status_code == 200

    print(f"\na look-up: {len(ran(queries))} queries in {time.monotonic() - began:.3f} s")
    # The time, the number with its firm, approval, licences, sanctions on the firm and on the number.
    assert len(ran(queries)) <= 6


def test_a_database_that_fails_is_said_to(w: World, client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE telemarketers_callingnumber RENAME TO out_of_reach")

    answer = look_up(client, SHOP_LINE)

    assert is_problem(answer, 503, "cannot_rule")
    assert "Retry-After" in answer
