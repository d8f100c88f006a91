"""A firm's own account through its HTTP doors: what it has, what it submits, and that nobody else's shows (law 5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from itertools import cycle
from typing import Any

import pytest
from django.core.cache import caches
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from record import clock
from record.ledger import OPERATOR
from record.models import Event
from record.numbers import PhoneNumber, parse_caller
from telemarketers.actions import firms
from telemarketers.models import CallingNumber, Firm, Mandate, Matter
from telemarketers.terms import Mode, Scope
from tests import world
from tests.consents.test_api_checks import early_in_a_minute, is_problem, told
from tests.record.test_ledger import everything, untraced
from tests.world import LOANS_LINE, SHOP_LINE, START, World

LINES, MATTERS, MANDATES = "/api/v1/calling-numbers", "/api/v1/matters", "/api/v1/mandates"
LISTS = (LINES, MATTERS, MANDATES)
LINE = {"number": "010 6552 9977", "display_name": "示范金融"}
MATTER = {"code": "autumn-loan", "purpose": "loan_finance", "title": "秋季", "wording": "可以就此事给您打电话吗？"}
NOTHING = 987654


def get(client: Client, key: str, path: str, **asked: Any) -> Any:
    return client.get(path, asked, headers={"Authorization": f"Bearer {key}"})


def post(client: Client, key: str, path: str, body: Any = None) -> Any:
    content = json.dumps({} if body is None else body)
    headers = {"Authorization": f"Bearer {key}"}
    return client.post(path, content, content_type="application/json", headers=headers)


def results(client: Client, key: str, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = get(client, key, path, **asked)
    assert answer.status_code == 200, answer.content
    assert set(answer.json()) == {"results", "next"}
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


@pytest.fixture
def shop_key(w: World) -> str:
    return world.issue(w.shop, START)[1]


@pytest.fixture
def centre_key(w: World) -> str:
    return world.issue(w.centre, START)[1]


@pytest.fixture
def test_key(w: World) -> str:
    return world.issue(w.loans, START, Mode.TEST)[1]


# --- calling numbers ---------------------------------------------------------------------------------


def test_a_submitted_calling_number_waits_for_the_regulator(w: World, client: Client) -> None:
    answer = post(client, w.key, LINES, LINE)

    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"id", "number", "display_name", "status", "submitted_at", "starts", "ends"}
    assert (body["number"], body["status"], body["starts"]) == ("+861065529977", "waiting", None)
    assert told(client, w.key, caller="010 6552 9977") == "block caller_unregistered"
    assert client.get("/api/v1/callers/01065529977").status_code == 404
    event = Event.objects.latest("id")
    assert (event.verb, event.actor_kind, event.actor_id) == ("calling_number.submitted", "firm", w.loans.pk)


def test_an_approved_calling_number_is_in_force(w: World, client: Client) -> None:
    pk = post(client, w.key, LINES, LINE).json()["id"]
    firms.approve_calling_number(calling_number=CallingNumber.objects.get(pk=pk), by=OPERATOR, at=clock.now())

    assert results(client, w.key, LINES)[0]["status"] == "approved"
    assert told(client, w.key, caller="010 6552 9977") == "block no_authorization"
    assert client.get("/api/v1/callers/01065529977").json()["firm"]["credit_code"] == w.loans.credit_code


def test_a_calling_number_is_withdrawn(w: World, client: Client) -> None:
    (own,) = results(client, w.key, LINES)

    answer = post(client, w.key, f"{LINES}/{own['id']}/withdraw")

    assert (answer.status_code, answer.json()["status"]) == (200, "withdrawn")
    assert told(client, w.key) == "block caller_unregistered"
    assert is_problem(post(client, w.key, f"{LINES}/{own['id']}/withdraw"), 422, "already_ended")
    assert untraced() == []


def test_two_firms_may_wait_for_one_number(w: World, client: Client, shop_key: str) -> None:
    assert post(client, w.key, LINES, LINE).status_code == 201
    assert post(client, shop_key, LINES, LINE).status_code == 201
    assert is_problem(post(client, shop_key, LINES, LINE), 422, "calling_number_taken", "number")


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("138 0013 8000", "private_mobile"),
        (SHOP_LINE, "calling_number_taken"),
        ("", "empty"),
        ("6552 9988", "no_area_code"),
        ("+1 202 555 0123", "foreign"),
        ("010 6552 9988 ext 1", "extension"),
    ],
)
def test_what_is_no_calling_number_is_refused_with_the_reason(w: World, client: Client, number: str, code: str) -> None:
    before = everything()

    assert is_problem(post(client, w.key, LINES, {"number": number}), 422, code, "number")
    assert everything() == before


# --- matters -----------------------------------------------------------------------------------------


def test_a_submitted_matter_waits_with_its_wording(w: World, client: Client) -> None:
    answer = post(client, w.key, MATTERS, MATTER)

    assert answer.status_code == 201
    body = answer.json()
    assert (body["code"], body["purpose"], body["title"], body["status"]) == (*list(MATTER.values())[:3], "waiting")
    assert (body["wording"]["version"], body["wording"]["text"]) == (1, MATTER["wording"])
    assert told(client, w.key, purpose=None, matter="autumn-loan") == "block purpose_not_licensed matter"
    firms.approve_matter(matter=Matter.objects.get(code="autumn-loan"), by=OPERATOR, at=clock.now())
    assert results(client, w.key, MATTERS)[0]["status"] == "approved"


def test_a_matter_is_withdrawn_by_its_code(w: World, client: Client) -> None:
    answer = post(client, w.key, f"{MATTERS}/spring-loan/withdraw")

    assert (answer.status_code, answer.json()["status"]) == (200, "withdrawn")
    assert told(client, w.key, purpose=None, matter="spring-loan") == "block purpose_not_licensed matter"
    assert is_problem(post(client, w.key, f"{MATTERS}/spring-loan/withdraw"), 422, "already_ended")


def test_the_latest_wording_is_shown(w: World, client: Client) -> None:
    w.offer.wordings.create(version=2, text="可以给您打电话吗？", at=START)

    assert results(client, w.key, MATTERS, purpose="loan_finance")[0]["wording"]["version"] == 2


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"code": "spring-loan"}, "code", "matter_exists"),
        ({"code": "two words"}, "code", "invalid"),
        ({"code": "贷款"}, "code", "invalid"),
        ({"code": "13800138000"}, "code", "number_in_text"),
        ({"purpose": "nothing"}, "purpose", "unknown_purpose"),
        ({"title": ""}, "title", "blank"),
        ({"wording": "   "}, "wording", "blank"),
        ({"wording": "请回电 138 0013 8000"}, "wording", "number_in_text"),
        ({"title": "找张三 13800138000"}, "title", "number_in_text"),
        ({"stance": "open"}, "stance", "unknown_field"),
    ],
)
def test_a_matter_that_cannot_be_is_refused(
    w: World, client: Client, change: dict[str, str], field: str, code: str
) -> None:
    before = everything()

    assert is_problem(post(client, w.key, MATTERS, MATTER | change), 422, code, field)
    assert everything() == before


def test_figures_with_commas_and_service_codes_may_stand_in_a_wording(w: World, client: Client) -> None:
    wording = "贷款最高1,000,000元，有效期至2026-12-31，详询95588。"

    assert post(client, w.key, MATTERS, MATTER | {"wording": wording}).json()["wording"]["text"] == wording


# --- mandates ----------------------------------------------------------------------------------------


def test_a_mandate_is_proposed_confirmed_and_ended(w: World, client: Client, centre_key: str) -> None:
    proposed = post(client, centre_key, MANDATES, {"client": w.loans.credit_code})
    assert proposed.status_code == 201
    mandate = proposed.json()
    assert (mandate["status"], mandate["starts"]) == ("proposed", None)
    assert mandate["agent"] == {"name": w.centre.name, "credit_code": w.centre.credit_code}
    assert mandate["client"] == {"name": w.loans.name, "credit_code": w.loans.credit_code}

    assert results(client, w.key, MANDATES) == [mandate]  # the client sees it
    confirmed = post(client, w.key, f"{MANDATES}/{mandate['id']}/confirm")
    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "in_force")
    assert results(client, centre_key, MANDATES) == [confirmed.json()]
    asked = {"caller": LOANS_LINE, "on_behalf_of": w.loans.credit_code}
    assert told(client, centre_key, **asked) == "block no_authorization"

    ended = post(client, centre_key, f"{MANDATES}/{mandate['id']}/end")
    assert (ended.status_code, ended.json()["status"]) == (200, "ended")
    assert told(client, centre_key, **asked) == "block not_mandated"
    assert is_problem(post(client, w.key, f"{MANDATES}/{mandate['id']}/end"), 422, "already_ended")
    assert is_problem(post(client, w.key, f"{MANDATES}/{mandate['id']}/confirm"), 422, "not_waiting")
    assert untraced() == []


def test_only_the_client_confirms(w: World, client: Client, centre_key: str) -> None:
    pk = post(client, centre_key, MANDATES, {"client": w.loans.credit_code}).json()["id"]

    assert is_problem(post(client, centre_key, f"{MANDATES}/{pk}/confirm"), 404, "not_found")
    assert not Mandate.objects.in_force(clock.now()).exists()


def test_a_second_mandate_of_one_client_is_refused(w: World, client: Client, centre_key: str) -> None:
    first, second = (
        post(client, centre_key, MANDATES, {"client": w.loans.credit_code}).json()["id"] for _twice in range(2)
    )
    post(client, w.key, f"{MANDATES}/{first}/confirm")

    assert is_problem(post(client, w.key, f"{MANDATES}/{second}/confirm"), 422, "already_mandated")


@pytest.mark.parametrize(
    ("credit_code", "code"),
    [("91350100M000100Y43", "unknown_client"), ("91110000MA0000001L", "own_client"), ("x", "bad_credit_code")],
)
def test_a_mandate_of_nobody_is_refused(w: World, client: Client, credit_code: str, code: str) -> None:
    assert is_problem(post(client, w.key, MANDATES, {"client": credit_code}), 422, code, "client")


# --- one's own, and nobody else's --------------------------------------------------------------------


def test_a_list_shows_only_ones_own(w: World, client: Client, shop_key: str, centre_key: str) -> None:
    post(client, centre_key, MANDATES, {"client": w.loans.credit_code})

    assert [line["number"] for line in results(client, shop_key, LINES)] == [SHOP_LINE]
    assert results(client, shop_key, MATTERS) == []
    assert results(client, shop_key, MANDATES) == []


def owned(w: World) -> dict[str, str]:
    """Addresses of what belongs to others than the retailer."""
    mandate = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=START)
    return {
        f"{LINES}/{{}}/withdraw": str(w.loans.calling_numbers.get().pk),
        f"{MATTERS}/{{}}/withdraw": w.offer.code,
        f"{MANDATES}/{{}}/confirm": str(mandate.pk),
        f"{MANDATES}/{{}}/end": str(mandate.pk),
    }


def test_somebody_elses_is_as_if_it_did_not_exist(w: World, client: Client, shop_key: str) -> None:
    for path, theirs in owned(w).items():
        before = everything()
        foreign, unknown = (post(client, shop_key, path.format(name)) for name in (theirs, NOTHING))
        assert is_problem(foreign, 404, "not_found")
        assert foreign.content == unknown.content
        assert everything() == before


# --- keys --------------------------------------------------------------------------------------------

CHANGES: dict[str, Any] = {LINES: LINE, MATTERS: MATTER, MANDATES: {"client": "91310000MA1FL0001R"}}


def test_a_test_key_reads_the_account_and_changes_nothing(w: World, client: Client, test_key: str) -> None:
    assert [line["number"] for line in results(client, test_key, LINES)] == [LOANS_LINE]
    assert {matter["code"] for matter in results(client, test_key, MATTERS)} == {"spring-loan", "login-codes"}
    before = everything()
    for path, body in CHANGES.items():
        assert is_problem(post(client, test_key, path, body), 403, "live_key_needed")
    for path, name in (*owned(w).items(), (f"{LINES}/{{}}/withdraw", str(NOTHING))):
        assert is_problem(post(client, test_key, path.format(name)), 403, "live_key_needed")
    assert everything()["telemarketers_matter"] == before["telemarketers_matter"]


def test_an_account_needs_a_key_of_that_scope(w: World, client: Client) -> None:
    _, key = world.issue(w.loans, START, scopes=[Scope.CHECK, Scope.BATCH, Scope.AUTHORIZATIONS])

    for path in LISTS:
        assert is_problem(get(client, key, path), 403, "scope_missing")
        assert is_problem(post(client, key, path, CHANGES[path]), 403, "scope_missing")


def test_the_doors_of_an_account_have_one_limit(w: World, client: Client, settings: Settings, shop_key: str) -> None:
    early_in_a_minute()
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "account": 2}

    assert get(client, w.key, LINES)["RateLimit-Policy"] == '"account";q=2;w=60'
    assert post(client, w.key, LINES, LINE).status_code == 201
    assert is_problem(get(client, w.key, MATTERS), 429, "rate_limited")
    assert get(client, shop_key, MATTERS).status_code == 200


# --- filters and pages -------------------------------------------------------------------------------


def test_lists_are_filtered(w: World, client: Client) -> None:
    post(client, w.key, MATTERS, MATTER)
    post(client, w.key, f"{MATTERS}/login-codes/withdraw")

    def codes(**asked: Any) -> set[str]:
        return {matter["code"] for matter in results(client, w.key, MATTERS, **asked)}

    assert codes() == {"autumn-loan", "spring-loan", "login-codes"}
    assert codes(status="waiting") == {"autumn-loan"}
    assert codes(status="approved") == {"spring-loan"}
    assert codes(status="withdrawn") == {"login-codes"}
    assert codes(purpose="verification") == {"login-codes"}
    assert codes(in_force_at=clock.iso(START)) == {"spring-loan", "login-codes"}
    assert codes(in_force_at="2026-01-07T08:00:00+08:00") == {"spring-loan", "login-codes"}
    assert codes(in_force_at=clock.iso(START - timedelta(seconds=1))) == set()
    assert codes(purpose="nothing") == set()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("asked", "field", "code"),
    [
        ({"statsu": "waiting"}, "statsu", "unknown_parameter"),
        ({"number": "13800138000"}, "number", "unknown_parameter"),
        ({"status": "13800138000"}, "status", "invalid_choice"),
        ({"status": ["ended", "waiting"]}, "status", "repeated_parameter"),
        ({"status": ""}, "status", "blank"),
        ({"in_force_at": "yesterday"}, "in_force_at", "invalid"),
        ({"in_force_at": "2026-13-41T00:00:00Z"}, "in_force_at", "invalid"),
        ({"in_force_at": "2026-01-07T00:00:00"}, "in_force_at", "no_offset"),
        ({"limit": "0"}, "limit", "min_value"),
        ({"limit": "101"}, "limit", "max_value"),
        ({"limit": "many"}, "limit", "invalid"),
        ({"cursor": "x"}, "cursor", "bad_cursor"),
        ({"cursor": "AgAAAAAAAAAA"}, "cursor", "bad_cursor"),
        ({"cursor": "é"}, "cursor", "bad_cursor"),
    ],
)
def test_a_parameter_at_fault_is_named_and_not_repeated(
    w: World, client: Client, path: str, asked: dict[str, Any], field: str, code: str
) -> None:
    answer = get(client, w.key, path, **asked)

    assert is_problem(answer, 422, code, field), answer.content
    assert "13800138000" not in answer.content.decode()


@pytest.mark.parametrize(("language", "says"), [("en", "Write one of: waiting, "), ("zh", "waiting, ")])
def test_a_fault_is_told_in_the_language_asked_for(w: World, client: Client, language: str, says: str) -> None:
    headers = {"Authorization": f"Bearer {w.key}", "Accept-Language": language}

    detail = client.get(f"{LINES}?status=x", headers=headers).json()["detail"]

    assert says in detail
    assert detail.startswith("Write") == (language == "en")


@pytest.mark.parametrize("path", [*CHANGES, f"{MANDATES}/1/end"])
def test_a_change_takes_nothing_from_the_address(w: World, client: Client, path: str) -> None:
    answer = post(client, w.key, f"{path}?number=13800138000", CHANGES.get(path))

    assert is_problem(answer, 422, "unknown_parameter", "number")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=12))
def test_pages_miss_and_repeat_nothing_while_rows_are_added(
    w: World, client: Client, sizes: list[tuple[int, int]]
) -> None:
    """Whatever the sizes of the pages, and however many rows come in between two of them."""
    caches["default"].clear()
    with transaction.atomic():
        add(w.loans, 0, 7)
        add(w.shop, 10, 3)
        there = list(CallingNumber.objects.filter(firm=w.loans).order_by("-pk").values_list("pk", flat=True))
        seen: list[int] = []
        asked: dict[str, Any] = {}
        for turn, (limit, more) in enumerate(cycle(sizes)):
            answer = get(client, w.key, LINES, limit=limit, **asked).json()
            assert len(answer["results"]) <= limit
            seen += [row["id"] for row in answer["results"]]
            if answer["next"] is None:
                break
            asked = {"cursor": answer["next"]}
            add(w.loans, 100 + 10 * turn, more)
        transaction.set_rollback(True)
    assert seen == there


def add(firm: Firm, first: int, count: int) -> None:
    for index in range(first, first + count):
        number = PhoneNumber(f"+86106552{index:04}")
        firms.submit_calling_number(firm=firm, number=number, display_name="", by=OPERATOR, at=START)


def test_every_firm_ends_its_own_pages(w: World, client: Client) -> None:
    add(w.loans, 0, 2)

    first = get(client, w.key, LINES, limit=3).json()

    assert len(first["results"]) == 3
    assert first["next"] is None


# --- what it costs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LISTS)
def test_a_list_costs_as_much_for_one_row_as_for_many(
    w: World, client: Client, path: str, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for index in range(12):
        add(w.loans, 100 + index, 1)
        world.matter(w.loans, f"matter-{index}", "loan_finance", START)
        firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=START)

    with django_assert_max_num_queries(4):
        assert len(results(client, w.key, path)) >= 12


def test_a_service_code_is_a_calling_number(w: World, client: Client) -> None:
    assert post(client, w.key, LINES, {"number": "400-812-3456"}).json()["number"] == parse_caller("4008123456").text
