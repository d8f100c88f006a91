"""A firm searches its own authorizations: all of them, none of anybody else's, in pages that miss nothing (law 5)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consents import actions
from consents.models import Authorization
from record import clock
from record.numbers import PhoneNumber
from telemarketers.terms import Channel, Mode, Scope
from tests import world
from tests.consents.test_api_checks import is_problem
from tests.world import ALICE, BOB, NOW, START, SUBSCRIBER, World

SEARCH = "/api/v1/authorizations/search"
ROW = ("id", "number", "purpose", "matter", "channels", "starts", "ends", "status", "wording")
TEN = "10100000"


def search(client: Client, key: str, **asked: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    return client.post(SEARCH, json.dumps(asked), content_type="application/json", headers=headers)


def found(client: Client, key: str, **asked: Any) -> list[dict[str, Any]]:
    answer = search(client, key, **asked)
    assert answer.status_code == 200, answer.content
    assert tuple(answer.json()) == ("results", "next", "as_of")
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows


def recently(days: int = 1) -> datetime:
    return clock.now() - timedelta(days=days)


# --- what is told ------------------------------------------------------------------------------------


def test_an_authorization_is_told_with_every_field(w: World, client: Client) -> None:
    given = w.authorize(at=recently(), channels=Channel.VOICE | Channel.SMS)

    (row,) = found(client, w.key)

    assert tuple(row) == ROW
    assert row == {
        "id": given.pk,
        "number": ALICE.e164,
        "purpose": "loan_finance",
        "matter": "spring-loan",
        "channels": ["voice", "sms"],
        "starts": clock.iso(given.starts),
        "ends": clock.iso(given.ends),
        "status": "in_force",
        "wording": 1,
    }


def test_one_for_a_whole_purpose_names_no_matter(w: World, client: Client) -> None:
    w.authorize(w.purpose("loan_finance"), at=recently())

    assert [(row["matter"], row["wording"]) for row in found(client, w.key)] == [(None, None)]


def test_only_ones_own_are_told(w: World, client: Client) -> None:
    w.authorize(at=recently())
    w.authorize(w.purpose("retail"), firm=w.shop, at=recently())
    shop_key = world.issue(w.shop, START)[1]

    assert [row["purpose"] for row in found(client, w.key)] == ["loan_finance"]
    assert [row["purpose"] for row in found(client, shop_key)] == ["retail"]
    assert found(client, world.issue(w.centre, START)[1]) == []


def test_how_one_ended_is_told_only_as_revoked_or_expired(w: World, client: Client) -> None:
    carol, dave, erin, frank = (PhoneNumber(f"+861380013800{digit}") for digit in range(1, 5))
    since = recently()
    for number in (ALICE, carol, dave, erin, frank):
        w.authorize(number=number, at=since)
    w.authorize(number=BOB, at=NOW)  # for six months, which are over
    now = clock.now()
    actions.revoke(authorizations=Authorization.objects.filter(holding=w.hold(carol)), by=SUBSCRIBER, at=now)
    actions.register(holding=w.hold(dave), by=SUBSCRIBER, at=now)
    actions.refuse_firm(holding=w.hold(erin), firm=w.loans, by=SUBSCRIBER, at=now)
    person = actions.add_subscriber(by=SUBSCRIBER, at=now)
    actions.hand_over(number=frank, subscriber=person, keep_registration=True, by=SUBSCRIBER, at=now)

    told = {row["number"]: (row["status"], row["ends"] == clock.iso(now)) for row in found(client, w.key)}

    assert told[ALICE.e164] == ("in_force", False)
    assert told[BOB.e164] == ("expired", False)
    assert {told[number.e164] for number in (carol, dave, erin, frank)} == {("revoked", True)}


def test_who_holds_the_number_makes_no_difference(w: World, client: Client) -> None:
    """Claimed or not, a subscriber or nobody: the firm sees its authorization."""
    w.authorize(at=recently())
    before = search(client, w.key).json()["results"]
    person = actions.add_subscriber(by=SUBSCRIBER, at=clock.now())
    actions.claim(number=ALICE, subscriber=person, by=SUBSCRIBER, at=clock.now())

    assert search(client, w.key).json()["results"] == before


# --- what is asked for -------------------------------------------------------------------------------


def test_a_search_narrows(w: World, client: Client) -> None:
    old = w.authorize(number=BOB, at=NOW)
    wide = w.authorize(w.purpose("loan_finance"), at=recently(3))
    narrow = w.authorize(at=recently(2))

    def ids(**asked: Any) -> list[int]:
        return [row["id"] for row in found(client, w.key, **asked)]

    assert ids() == [narrow.pk, wide.pk, old.pk]
    assert ids(number="138 0013 8000") == [narrow.pk, wide.pk]
    assert ids(number=BOB.e164) == [old.pk]
    assert ids(number="18600000000") == []
    assert ids(matter="spring-loan") == [narrow.pk, old.pk]
    assert ids(purpose="loan_finance") == [narrow.pk, wide.pk, old.pk]
    assert ids(purpose="retail") == []
    assert ids(status="in_force") == [narrow.pk, wide.pk]
    assert ids(status="expired") == [old.pk]
    assert ids(status="revoked") == []
    assert ids(status="in_force", matter="spring-loan", number=ALICE.e164) == [narrow.pk]
    assert ids(number=None, matter=None, purpose=None, status=None, updated_since=None) == ids()


def test_what_has_changed_since_is_what_was_granted_ended_or_expired(w: World, client: Client) -> None:
    expired = w.authorize(number=BOB, at=NOW)
    revoked = w.authorize(number=PhoneNumber("+8613700137000"), at=recently(9))
    granted = w.authorize(at=recently(9))
    since = clock.now()
    assert found(client, w.key, updated_since=clock.iso(since)) == []

    actions.revoke(authorizations=Authorization.objects.filter(pk=revoked.pk), by=SUBSCRIBER, at=clock.now())
    new = w.authorize(number=PhoneNumber("+8613600136000"), at=clock.now())

    assert [row["id"] for row in found(client, w.key, updated_since=clock.iso(since))] == [new.pk, revoked.pk]
    assert expired.pk in [row["id"] for row in found(client, w.key, updated_since=clock.iso(expired.ends))]
    assert granted.pk in [row["id"] for row in found(client, w.key, updated_since=clock.iso(granted.starts))]
    after = clock.iso(expired.ends + timedelta(microseconds=1))
    assert expired.pk not in [row["id"] for row in found(client, w.key, updated_since=after)]


@pytest.mark.parametrize(
    ("asked", "field", "code"),
    [
        ({"number": "12345"}, "number", "length"),
        ({"number": ""}, "number", "empty"),
        ({"matter": "nothing"}, "matter", "unknown_matter"),
        ({"purpose": "nothing"}, "purpose", "unknown_purpose"),
        ({"status": "waiting"}, "status", "invalid_choice"),
        ({"updated_since": "2026-01-07T02:00:00"}, "updated_since", "no_offset"),
        ({"limit": 0}, "limit", "min_value"),
        ({"limit": 101}, "limit", "max_value"),
        ({"limit": "x"}, "limit", "invalid"),
        ({"cursor": "13800138000"}, "cursor", "bad_cursor"),
        ({"callee": "13800138000"}, "callee", "unknown_field"),
    ],
)
@pytest.mark.parametrize("mode", list(Mode))
def test_what_cannot_be_searched_for_is_refused(
    w: World, client: Client, asked: dict[str, Any], field: str, code: str, mode: Mode
) -> None:
    _, key = world.issue(w.loans, START, mode)

    answer = search(client, key, **asked)

    assert is_problem(answer, 422, code, field)
    assert b"13800138000" not in answer.content


def test_a_number_in_the_address_is_refused(w: World, client: Client) -> None:
    headers = {"Authorization": f"Bearer {w.key}"}
    answer = client.post(f"{SEARCH}?number=13800138000", "{}", content_type="application/json", headers=headers)

    assert is_problem(answer, 422, "unknown_parameter", "number")
    assert b"13800138000" not in answer.content


def test_somebody_elses_matter_is_as_unknown_as_an_invented_one(w: World, client: Client) -> None:
    world.matter(w.shop, "autumn-sale", "retail", START)

    answer = search(client, w.key, matter="autumn-sale")

    assert is_problem(answer, 422, "unknown_matter", "matter")
    assert answer.content == search(client, w.key, matter="nothing").content


def test_a_number_is_found_under_a_key_that_is_being_retired(
    w: World, client: Client, rotate_number_key: Callable[[], None]
) -> None:
    w.authorize(at=recently())
    rotate_number_key()
    w.authorize(number=BOB, at=recently())

    assert {row["number"] for row in found(client, w.key)} == {ALICE.e164, BOB.e164}
    assert [row["number"] for row in found(client, w.key, number=ALICE.e164)] == [ALICE.e164]


def test_a_search_tells_of_unknown_and_known_numbers_at_the_same_cost(w: World, client: Client) -> None:
    w.authorize(w.purpose("retail"), firm=w.shop, number=BOB, at=recently())
    answers, costs = set(), set()
    for number in (BOB.e164, "18600000000"):
        with CaptureQueriesContext(connection) as queries:
            body = search(client, w.key, number=number).json()
        del body["as_of"]
        answers.add(json.dumps(body))
        costs.add(len(queries))

    assert answers == {'{"results": [], "next": null}'}
    assert len(costs) == 1


# --- pages -------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2)), min_size=1, max_size=9), status=st.booleans())
def test_pages_miss_and_repeat_nothing_while_rows_are_added(
    w: World, client: Client, sizes: list[tuple[int, int]], status: bool
) -> None:
    """Whatever the sizes of the pages, and whatever is granted in between two of them."""
    caches["default"].clear()
    asked: dict[str, Any] = {"status": "in_force"} if status else {}
    with transaction.atomic():
        grant(w, 0, 8)
        w.authorize(w.purpose("retail"), firm=w.shop, at=recently())
        there = list(Authorization.objects.filter(firm=w.loans).order_by("-pk").values_list("pk", flat=True))
        seen: list[int] = []
        for turn, (limit, more) in enumerate(cycle(sizes)):
            answer = search(client, w.key, limit=limit, **asked).json()
            assert len(answer["results"]) <= limit
            seen += [row["id"] for row in answer["results"]]
            if answer["next"] is None:
                break
            asked["cursor"] = answer["next"]
            grant(w, 100 + 10 * turn, more)
        transaction.set_rollback(True)
    assert seen == there


def grant(w: World, first: int, count: int) -> None:
    for index in range(first, first + count):
        w.authorize(number=PhoneNumber(f"+8613800{index:06}"), at=recently())


def test_a_cursor_holds_no_number(w: World, client: Client) -> None:
    grant(w, 0, 3)

    cursor = search(client, w.key, limit=2).json()["next"]

    assert int.from_bytes(base64.urlsafe_b64decode(cursor)[1:], "big") == Authorization.objects.order_by("pk")[1].pk


def test_a_page_costs_as_much_for_one_row_as_for_many(w: World, client: Client) -> None:
    grant(w, 0, 20)

    with CaptureQueriesContext(connection) as queries:
        assert len(found(client, w.key)) == 20
    assert len(queries) <= 4


# --- keys --------------------------------------------------------------------------------------------


def test_a_search_needs_a_key_of_that_scope(w: World, client: Client) -> None:
    _, key = world.issue(w.loans, START, scopes=[Scope.CHECK, Scope.BATCH, Scope.ACCOUNT])

    assert is_problem(search(client, key), 403, "scope_missing")


def test_a_test_key_finds_what_the_test_numbers_stand_for_and_reads_no_subscriber(w: World, client: Client) -> None:
    w.authorize(at=recently())
    _, key = world.issue(w.loans, START, Mode.TEST)
    with CaptureQueriesContext(connection) as queries:
        rows = found(client, key)

    assert [(row["number"], row["status"]) for row in rows] == [
        (f"+86{TEN}015", "in_force"),
        (f"+86{TEN}010", "expired"),
        (f"+86{TEN}008", "revoked"),
    ]
    assert all(tuple(row) == ROW for row in rows)
    assert world.of_subscribers(query["sql"] for query in queries) == []
    assert is_problem(search(client, key, number=ALICE.e164), 422, "not_a_test_number", "number")
    assert is_problem(search(client, key, number=f"{TEN}099"), 503, "cannot_rule")


def test_a_test_key_narrows_and_pages_alike(w: World, client: Client) -> None:
    _, key = world.issue(w.loans, START, Mode.TEST)

    assert [row["status"] for row in found(client, key, status="expired")] == ["expired"]
    assert found(client, key, number=f"{TEN}012") == []
    (row,) = found(client, key, number=f"{TEN}015", matter="spring-loan")
    assert (row["matter"], row["purpose"], row["wording"]) == ("spring-loan", "loan_finance", 1)
    assert [row["purpose"] for row in found(client, key, status="revoked", purpose="retail")] == ["retail"]
    assert [row["status"] for row in found(client, key, updated_since=clock.iso(recently(3)))] == ["expired", "revoked"]
    first = search(client, key, limit=2).json()
    assert [row["status"] for row in first["results"]] == ["in_force", "expired"]
    rest = search(client, key, limit=2, cursor=first["next"]).json()
    assert ([row["status"] for row in rest["results"]], rest["next"]) == (["revoked"], None)


def test_statuses_are_of_the_instant_that_is_told(w: World, client: Client) -> None:
    before = datetime.now(UTC)

    as_of = datetime.fromisoformat(search(client, w.key).json()["as_of"])

    assert before - timedelta(seconds=2) <= as_of <= datetime.now(UTC) + timedelta(seconds=2)
