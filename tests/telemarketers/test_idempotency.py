"""A request sent again is carried out once, whatever became of its first answer; and nothing of it is kept in clear."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from pytest_django import Settings

from record import clock, keys
from record.ledger import OPERATOR
from telemarketers import idempotency
from telemarketers.actions import firms
from telemarketers.models import CallingNumber, IdempotencyKey, Matter
from telemarketers.terms import Mode
from tests import world
from tests.consents.test_api_checks import is_problem
from tests.record.test_ledger import everything
from tests.world import START, World

LINES, MATTERS = "/api/v1/calling-numbers", "/api/v1/matters"
LINE = {"number": "010 6552 9977", "display_name": "示范"}


def post(client: Client, key: str, body: Any = LINE, path: str = LINES, once: str | None = "a-1") -> Any:
    content = body if isinstance(body, str) else json.dumps(body)
    sent = {"Authorization": f"Bearer {key}"} | ({} if once is None else {"Idempotency-Key": once})
    return client.generic("POST", path, content, content_type="application/json", headers=sent)


def test_the_same_request_again_is_answered_with_its_outcome_and_done_once(w: World, client: Client) -> None:
    first, again = post(client, w.key), post(client, w.key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert CallingNumber.objects.filter(number="+861065529977").count() == 1


def test_without_a_key_each_request_stands_for_itself(w: World, client: Client) -> None:
    assert post(client, w.key, once=None).status_code == 201
    assert is_problem(post(client, w.key, once=None), 422, "calling_number_taken", "number")
    assert not IdempotencyKey.objects.exists()


def test_the_outcome_is_shown_as_it_stands_now(w: World, client: Client) -> None:
    """The answer is not kept, but made anew from what the first request made."""
    assert post(client, w.key).json()["status"] == "waiting"
    firms.approve_calling_number(
        calling_number=CallingNumber.objects.get(number="+861065529977"), by=OPERATOR, at=clock.now()
    )

    assert post(client, w.key).json()["status"] == "approved"


def test_another_body_under_the_same_key_is_a_conflict(w: World, client: Client) -> None:
    post(client, w.key)
    before = everything()

    assert is_problem(post(client, w.key, LINE | {"display_name": "别的"}), 422, "idempotency_conflict")
    assert everything() == before


def test_the_order_of_fields_and_spaces_make_no_other_body(w: World, client: Client) -> None:
    first = post(client, w.key, json.dumps(LINE))

    again = post(client, w.key, json.dumps(dict(reversed(LINE.items())), indent=3, ensure_ascii=False))

    assert again.content == first.content


def test_a_request_that_was_refused_may_be_corrected_under_its_key(w: World, client: Client) -> None:
    assert post(client, w.key, LINE | {"number": "138 0013 8000"}).status_code == 422
    assert post(client, w.key, LINE).status_code == 201


def test_what_failed_is_not_remembered(w: World, client: Client, settings: Settings) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE telemarketers_callingnumber RENAME TO out_of_reach")
        with transaction.atomic():
            assert post(client, w.key).status_code == 503
            transaction.set_rollback(True)
        cursor.execute("ALTER TABLE out_of_reach RENAME TO telemarketers_callingnumber")

    assert post(client, w.key).status_code == 201


def test_a_key_is_a_firms_own(w: World, client: Client) -> None:
    shop_key = world.issue(w.shop, START)[1]
    post(client, w.key)

    assert post(client, shop_key, LINE | {"number": "010 6552 9966"}).status_code == 201


def test_another_key_of_the_same_firm_is_the_same_firm(w: World, client: Client) -> None:
    first = post(client, w.key)

    assert post(client, world.issue(w.loans, START)[1]).content == first.content


def test_a_key_is_a_routes_own(w: World, client: Client) -> None:
    matter = {"code": "autumn", "purpose": "loan_finance", "title": "秋季", "wording": "您好"}
    post(client, w.key)

    assert post(client, w.key, matter, MATTERS).status_code == 201
    assert Matter.objects.filter(code="autumn").exists()


def test_a_key_is_free_again_after_24_hours(w: World, client: Client) -> None:
    post(client, w.key)
    old = IdempotencyKey.objects.get()
    old.delete()
    old.pk, old.at = None, old.at - idempotency.REMEMBERED
    old.save()

    assert is_problem(post(client, w.key), 422, "calling_number_taken")
    assert post(client, w.key, LINE | {"number": "010 6552 9966"}).status_code == 201
    assert IdempotencyKey.objects.get().at > old.at


def test_what_is_over_24_hours_old_is_forgotten(w: World, client: Client) -> None:
    post(client, w.key)
    post(client, w.key, LINE | {"number": "010 6552 9966"}, once="a-2")
    at = IdempotencyKey.objects.latest("at").at

    assert idempotency.forget_old(at + idempotency.REMEMBERED - timedelta(microseconds=1)) == 1
    assert idempotency.forget_old(at + idempotency.REMEMBERED) == 1
    assert idempotency.forget_old(at + idempotency.REMEMBERED) == 0


@pytest.mark.parametrize(
    "once", ["", " ", "a b", "é", "a" * 256, "\x7f"], ids=["empty", "space", "two", "e", "long", "del"]
)
def test_a_key_is_visible_ascii(w: World, client: Client, once: str) -> None:
    assert is_problem(post(client, w.key, once=once), 422, "bad_idempotency_key", "Idempotency-Key")


@pytest.mark.parametrize("once", ["a", "~" * 255, "!", "13800138000", '"quoted"'])
def test_a_key_may_be_any_visible_ascii(w: World, client: Client, once: str) -> None:
    assert post(client, w.key, once=once).content == post(client, w.key, once=once).content


def test_neither_key_nor_body_can_be_found_by_trying_all_numbers(w: World, client: Client) -> None:
    """A plain digest of either would be the number to whoever digests all numbers (law 8)."""
    post(client, w.key, once="13800138000")
    row = IdempotencyKey.objects.get()
    pseudonymizer = keys.pseudonymizer()
    digests = [pseudonymizer.decrypt(bytes(stored), key_id=row.number_key) for stored in (row.name, row.body)]

    assert b"13800138000" not in bytes(row.name) + bytes(row.body)
    assert [len(digest) for digest in digests] == [32, 32]
    assert all(bytes(stored) != digest for stored, digest in zip((row.name, row.body), digests, strict=True))


def test_a_key_is_found_under_a_number_key_that_is_being_retired(
    w: World, client: Client, rotate_number_key: Callable[[], None]
) -> None:
    first = post(client, w.key)
    rotate_number_key()

    assert post(client, w.key).content == first.content
    assert is_problem(post(client, w.key, LINE | {"display_name": "别的"}), 422, "idempotency_conflict")


def test_a_test_key_is_told_of_a_bad_key_and_leaves_nothing(w: World, client: Client) -> None:
    _, test = world.issue(w.loans, START, Mode.TEST)
    body = {"number": "10100000012", "said_at": clock.iso(clock.now())}

    assert is_problem(post(client, test, body, "/api/v1/refusals", once="a b"), 422, "bad_idempotency_key")
    assert post(client, test, body, "/api/v1/refusals").status_code == 201
    assert not IdempotencyKey.objects.exists()


# --- two at once -------------------------------------------------------------------------------------


def alone(barrier: Barrier, key: str, once: str) -> tuple[int, str, Any]:
    """One request by a connection of its own."""
    barrier.wait(10)
    try:
        answer = post(Client(), key, once=once)
        return answer.status_code, answer.json().get("code", ""), answer.json().get("id")
    finally:
        connection.close()


def test_of_many_at_once_one_is_carried_out(committed: World) -> None:
    """The others are told its outcome, or that it is not there yet."""
    for attempt in range(3):
        CallingNumber.objects.waiting(clock.now()).update(ends=clock.now())
        barrier = Barrier(6)
        with ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(alone, barrier, committed.key, f"race-{attempt}") for _thread in range(6)]
            answers = [each.result(30) for each in asked]

        outcomes = {(status, code) for status, code, _id in answers}
        assert (201, "") in outcomes
        assert outcomes <= {(201, ""), (409, "idempotency_in_flight")}
        assert len({made for status, _code, made in answers if status == 201}) == 1
        assert CallingNumber.objects.waiting(clock.now()).count() == 1


if connection.vendor == "postgresql":

    def test_while_the_first_is_in_flight_the_second_is_told_at_once(committed: World) -> None:
        with ThreadPoolExecutor(1) as other:
            with transaction.atomic():
                assert post(Client(), committed.key).status_code == 201  # and not committed yet
                second = other.submit(alone, Barrier(1), committed.key, "a-1").result(10)
            assert second[:2] == (409, "idempotency_in_flight")
            assert other.submit(alone, Barrier(1), committed.key, "a-1").result(10)[0] == 201

    def test_where_the_first_gave_up_the_second_is_carried_out(committed: World) -> None:
        with transaction.atomic():
            assert post(Client(), committed.key).status_code == 201
            transaction.set_rollback(True)
        with ThreadPoolExecutor(1) as other:
            assert other.submit(alone, Barrier(1), committed.key, "a-1").result(10)[0] == 201
        assert IdempotencyKey.objects.count() == 1
