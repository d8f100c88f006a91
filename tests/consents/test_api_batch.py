"""Batches through their HTTP door: rows in the order asked, one receipt over all, packed records (design §7)."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from consents import actions, packing
from consents.models import AllowDay, CheckRecord, CheckSegment, CheckSet
from consents.terms import Reason
from record import clock, keys
from record.numbers import PhoneNumber
from tests import world
from tests.consents.test_api_checks import (
    UNKNOWN_CLIENT,
    ask,
    claims_of,
    comparable,
    early_in_a_minute,
    is_problem,
    mandate,
    ran,
)
from tests.world import ALICE, BOB, CENTRE_LINE, SHOP_LINE, START, SUBSCRIBER, World

BATCH = "/api/v1/checks/batch"
CLAIMS = (
    *("iss", "jti", "iat", "exp", "firm", "on_behalf_of", "caller", "purpose", "matter", "channel", "for_time"),
    *("policy", "ref", "rows", "input_sha256", "result_sha256", "as_of"),
)


def ask_many(client: Client, key: str, callees: Any, **terms: Any) -> Any:
    return ask(client, key, BATCH, callees=callees, **terms)


def thousand() -> list[str]:
    return [f"1380013{suffix:04}" for suffix in range(1000)]


# --- the answer --------------------------------------------------------------------------------------


def test_rows_come_in_the_order_asked_each_with_what_was_asked(w: World, client: Client) -> None:
    asked = ["139 0013 9000", "1.38001E+10", "+8613800138000", "139 0013 9000", "12345", "", "+1 202 555 0123"]

    answer = ask_many(client, w.key, asked)

    body = answer.json()
    assert answer.status_code == 200
    assert tuple(body) == ("id", "checked_at", "valid_until", "policy", "results", "receipt")
    assert all(tuple(row) == ("callee", "number", "verdict", "reason") for row in body["results"])
    assert [row["callee"] for row in body["results"]] == asked
    assert [row["number"] for row in body["results"]] == [BOB.e164, None, ALICE.e164, BOB.e164, None, None, None]
    no, none = ("block", "invalid_number"), ("block", "no_authorization")
    assert [(row["verdict"], row["reason"]) for row in body["results"]] == [none, no, none, none, no, no, no]
    assert body["policy"] == "china-1"
    checked_at = datetime.fromisoformat(body["checked_at"])
    assert datetime.fromisoformat(body["valid_until"]) == checked_at + timedelta(minutes=15)


def test_a_callee_is_echoed_to_the_last_space(w: World, client: Client) -> None:
    asked = [" 138 0013 8000", "13900139000\t", "\ufeff13800138000"]

    body = ask_many(client, w.key, asked).json()

    # The firm finds its own row again by what it wrote.
    assert [row["callee"] for row in body["results"]] == asked
    assert all(row["number"] for row in body["results"])


def test_each_row_is_answered_as_if_it_had_been_asked_alone(all_day: World, client: Client) -> None:
    numbers = [PhoneNumber(f"+861380013800{digit}") for digit in range(6)]
    now = clock.now()
    all_day.authorize(number=numbers[0], at=now)
    all_day.authorize(all_day.purpose("loan_finance"), number=numbers[1], at=now)
    actions.register(holding=all_day.hold(numbers[2]), by=SUBSCRIBER, at=now)
    actions.refuse_firm(holding=all_day.hold(numbers[3]), firm=all_day.loans, by=SUBSCRIBER, at=now)
    ended = all_day.authorize(number=numbers[4], at=now)
    of_ended = all_day.loans.authorizations.filter(pk=ended.pk)
    actions.revoke(authorizations=of_ended, by=SUBSCRIBER, at=clock.now())
    asked = [*(number.e164 for number in numbers), "not a number"]
    terms: dict[str, Any] = {"purpose": None, "matter": "spring-loan"}

    rows = ask_many(client, all_day.key, asked, **terms).json()["results"]
    alone = [ask(client, all_day.key, callee=callee, **terms).json() for callee in asked]

    assert [(row["verdict"], row["reason"]) for row in rows] == [(one["verdict"], one["reason"]) for one in alone]
    assert [row["reason"] for row in rows] == [
        *("authorized", "authorized", "no_authorization", "no_authorization"),
        *("authorization_revoked", "no_authorization", "invalid_number"),
    ]


def test_an_answer_over_many_numbers_ends_with_the_first_of_them(all_day: World, client: Client) -> None:
    for_time = (clock.now() + timedelta(hours=1)).replace(microsecond=0)
    all_day.authorize(at=clock.now())

    body = ask_many(
        client, all_day.key, [ALICE.e164, BOB.e164], purpose=None, matter="spring-loan", for_time=clock.iso(for_time)
    ).json()

    assert {row["verdict"] for row in body["results"]} == {"allow", "block"}
    assert for_time < datetime.fromisoformat(body["valid_until"]) <= for_time + timedelta(minutes=15)


def test_a_batch_is_asked_on_behalf_of_a_client(w: World, client: Client) -> None:
    _, key = world.issue(w.centre, START)
    for_client = {"caller": CENTRE_LINE, "on_behalf_of": w.loans.credit_code}

    def reasons(**terms: Any) -> set[str]:
        answer = ask_many(client, key, [ALICE.e164, BOB.e164], **(for_client | terms))
        return {row["reason"] for row in answer.json()["results"]}

    assert reasons() == {"not_mandated"}
    assert reasons(purpose=None, matter="no-such-matter") == {"not_mandated"}
    assert reasons(on_behalf_of=UNKNOWN_CLIENT) == {"firm_not_approved"}
    mandate(w, agent=w.centre, client=w.loans)
    assert reasons() == {"no_authorization"}


# --- the receipt and the record ----------------------------------------------------------------------


def test_the_digests_are_those_that_the_contract_describes(w: World, client: Client) -> None:
    asked = ["138 0013 8000", "12345", "+8613900139000"]

    body = ask_many(client, w.key, asked, client_ref="lot 3").json()

    claims = claims_of(body["receipt"], client)
    assert set(claims) == set(CLAIMS)
    assert (claims["jti"], claims["as_of"], claims["rows"]) == (body["id"], body["checked_at"], 3)
    assert (claims["firm"], claims["policy"], claims["ref"]) == (w.loans.credit_code, body["policy"], "lot 3")
    told = "".join(f"{row['number'] or ''},{row['verdict']},{row['reason']}\n" for row in body["results"])
    assert claims["result_sha256"] == hashlib.sha256(told.encode()).hexdigest()
    spelled = "".join(f"{callee}\n" for callee in asked)
    assert claims["input_sha256"] == hashlib.sha256(spelled.encode()).hexdigest()


def test_every_number_of_a_batch_can_be_found_in_its_record(w: World, client: Client) -> None:
    actions.refuse_firm(holding=w.hold(), firm=w.loans, by=SUBSCRIBER, at=clock.now())

    body = ask_many(client, w.key, [ALICE.e164, BOB.e164, "12345", BOB.e164]).json()

    kept = CheckSet.objects.get(pk=body["id"])
    assert (kept.rows, kept.firm, kept.credential) == (4, w.loans, w.credential)
    assert clock.iso(kept.checked_at) == body["checked_at"]
    assert (
        keys.pseudonymizer().decrypt(bytes(kept.result_digest)).hex()
        == claims_of(body["receipt"], client)["result_sha256"]
    )
    assert [(entry.reason, entry.inner) for entry in found_in(kept, ALICE)] == [
        (Reason.NO_AUTHORIZATION, Reason.FIRM_REFUSED)
    ]
    assert len(found_in(kept, BOB)) == 2
    assert not found_in(kept, PhoneNumber("+8613700137000"))
    assert not CheckRecord.objects.exists()


def found_in(kept: CheckSet, number: PhoneNumber) -> list[packing.Packed]:
    pseudonym = keys.pseudonymizer().pseudonym(number)
    segment = packing.segment_of(pseudonym, kept.segments)
    packed = CheckSegment.objects.filter(check_set=kept, segment=segment).first()
    return packing.find(bytes(packed.packed), pseudonym) if packed else []


def test_a_batch_of_nothing_but_mistakes_is_answered_and_recorded(w: World, client: Client) -> None:
    body = ask_many(client, w.key, ["1", "2"]).json()

    assert {row["reason"] for row in body["results"]} == {"invalid_number"}
    kept = CheckSet.objects.get(pk=body["id"])
    assert (kept.rows, bytes(CheckSegment.objects.get().packed)) == (2, b"")


def test_what_a_batch_allows_counts_for_the_cap_once_a_number(all_day: World, client: Client) -> None:
    _, key = world.issue(all_day.shop, START)

    answer = ask_many(client, key, [ALICE.e164, "138 0013 8000", BOB.e164, "12345"], caller=SHOP_LINE, purpose="retail")

    assert [row["verdict"] for row in answer.json()["results"]] == ["allow", "allow", "allow", "block"]
    assert AllowDay.objects.count() == 2


# --- law 5 -------------------------------------------------------------------------------------------


def test_under_a_consent_purpose_rows_differ_in_nothing_but_the_number(w: World, client: Client) -> None:
    registered, refuser = PhoneNumber("+8613800138001"), PhoneNumber("+8613800138002")
    actions.register(holding=w.hold(registered), by=SUBSCRIBER, at=clock.now())
    actions.refuse_firm(holding=w.hold(refuser), firm=w.loans, by=SUBSCRIBER, at=clock.now())
    numbers = [registered, refuser, PhoneNumber("+8615400138000"), BOB]

    rows = ask_many(client, w.key, [number.e164 for number in numbers]).json()["results"]

    assert [comparable(row, number=None) for row in rows] == [{"verdict": "block", "reason": "no_authorization"}] * 4


def test_a_matter_of_somebody_else_is_as_unknown_as_an_invented_one(w: World, client: Client) -> None:
    world.matter(w.shop, "autumn-sale", "retail", START)

    answers = [
        ask_many(client, w.key, [ALICE.e164], purpose=None, matter=matter) for matter in ("autumn-sale", "nothing")
    ]

    assert all(is_problem(answer, 422, "unknown_matter", "matter") for answer in answers)
    assert answers[0].content == answers[1].content


# --- bounds ------------------------------------------------------------------------------------------


def test_a_thousand_numbers_are_answered_in_few_queries(all_day: World, client: Client) -> None:
    _, key = world.issue(all_day.shop, START)
    asked = thousand()
    ask_many(client, key, asked[:1], caller=SHOP_LINE, purpose="retail")

    with CaptureQueriesContext(connection) as queries:
        answer = ask_many(client, key, asked, caller=SHOP_LINE, purpose="retail")

    body = answer.json()
    assert [row["number"] for row in body["results"]] == [f"+86{callee}" for callee in asked]
    assert {row["verdict"] for row in body["results"]} == {"allow"}
    assert AllowDay.objects.count() == 1000
    cost = len(ran(queries))
    print(f"\na batch of 1,000 that allows all: {cost} queries on {connection.vendor}")
    # The time, the key, the purpose, the facts, the set, its segment, the days; SQLite takes the days in several goes.
    assert cost <= (7 if connection.vendor == "postgresql" else 15)


@pytest.mark.parametrize(
    ("callees", "field", "code"),
    [
        pytest.param([], "callees", "min_length", id="none"),
        pytest.param(["1"] * 1001, "callees", "max_length", id="1001"),
        pytest.param("13800138000", "callees", "not_a_list", id="a-string"),
        pytest.param({"0": "13800138000"}, "callees", "not_a_list", id="an-object"),
        pytest.param(None, "callees", "required", id="left-out"),
        pytest.param(["13800138000", None], "callees[1]", "null", id="a-null-among-them"),
        pytest.param(["13800138000", ["13900139000"]], "callees[1]", "invalid", id="a-list-among-them"),
        pytest.param(["13800138000", True], "callees[1]", "invalid", id="true-among-them"),
        pytest.param(["13800138000", 13900139000], "callees[1]", "invalid", id="a-number-among-them"),
        pytest.param(["13800138000", "1" * 65], "callees[1]", "max_length", id="an-over-long-one-among-them"),
        pytest.param(["138\x0000138000"], "callees[0]", "null_characters_not_allowed", id="a-nul-among-them"),
    ],
)
def test_callees_that_cannot_be_read(w: World, client: Client, callees: Any, field: str, code: str) -> None:
    answer = ask_many(client, w.key, callees)

    assert is_problem(answer, 422, code, field)
    assert not CheckSet.objects.exists()


def test_a_batch_knows_no_single_callee(w: World, client: Client) -> None:
    answer = ask_many(client, w.key, [ALICE.e164], callee=ALICE.e164)

    assert is_problem(answer, 422, "unknown_field", "callee")


# --- limits ------------------------------------------------------------------------------------------


def test_the_limit_counts_numbers_not_batches(w: World, client: Client, settings: Settings) -> None:
    early_in_a_minute()
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "batch_numbers": 5}

    three, three_more, two = (ask_many(client, w.key, [ALICE.e164] * count) for count in (3, 3, 2))

    assert three.status_code == 200
    assert three["RateLimit-Policy"] == '"batch_numbers";q=5;w=60'
    assert three["RateLimit"].startswith('"batch_numbers";r=2;')
    assert is_problem(three_more, 429, "rate_limited")
    assert 1 <= int(three_more["Retry-After"]) <= 60
    # What was refused was not taken.
    assert two.status_code == 200
    assert two["RateLimit"].startswith('"batch_numbers";r=0;')


def test_a_batch_leaves_the_limit_of_single_checks_alone(w: World, client: Client, settings: Settings) -> None:
    early_in_a_minute()
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "batch_numbers": 1, "checks": 1}

    assert ask_many(client, w.key, [ALICE.e164]).status_code == 200
    assert ask(client, w.key).status_code == 200
    assert ask_many(client, w.key, [ALICE.e164]).status_code == 429


def test_while_redis_is_down_batches_wait(w: World, client: Client, settings: Settings) -> None:
    # Design §9: single checks go on with a share of the limits; batches and scrubs answer 503.
    settings.CACHES = {
        **settings.CACHES,
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"socket_timeout": 0.3, "socket_connect_timeout": 0.3},
        },
    }

    answer = ask_many(client, w.key, [ALICE.e164])

    assert answer.status_code == 503, answer.content
    assert "Retry-After" in answer
    assert not CheckSet.objects.exists()


# --- law 3 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["telemarketers_policy", "consents_registration", "consents_checksegment"])
def test_a_failing_table_allows_nothing(all_day: World, client: Client, table: str) -> None:
    _, key = world.issue(all_day.shop, START)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO out_of_reach")

    answer = ask_many(client, key, [ALICE.e164, BOB.e164], caller=SHOP_LINE, purpose="retail")

    assert is_problem(answer, 503, "cannot_rule")
    assert "Retry-After" in answer
    assert not CheckSet.objects.exists()
    assert not AllowDay.objects.exists()
