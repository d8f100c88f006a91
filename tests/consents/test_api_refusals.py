"""A firm lodges a refusal against itself, and learns nothing by it (design §7, law 5)."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from consents import actions
from consents.api.refusals import TAKES
from consents.models import Holding, LodgedRefusal, Refusal
from record import clock
from record.ledger import OPERATOR
from record.models import Event, Number
from record.numbers import PhoneNumber
from telemarketers.actions import firms
from telemarketers.models import IdempotencyKey
from telemarketers.terms import Mode, Scope
from tests import world
from tests.consents.test_api_checks import is_problem, mandate, told
from tests.record.test_ledger import everything, untraced
from tests.world import ALICE, BOB, CENTRE_LINE, START, SUBSCRIBER, World

REFUSALS = "/api/v1/refusals"


def lodge(client: Client, key: str, once: str = "", **said: Any) -> Any:
    """Lodges as a firm does. A field given as None is left out."""
    body = {"number": "138 0013 8000", "said_at": clock.iso(clock.now() - timedelta(minutes=5)), **said}
    headers = {"Authorization": f"Bearer {key}"} | ({"Idempotency-Key": once} if once else {})
    content = json.dumps({name: value for name, value in body.items() if value is not None})
    return client.post(REFUSALS, content, content_type="application/json", headers=headers)


@pytest.fixture
def centre_key(w: World) -> str:
    return world.issue(w.centre, START)[1]


def test_a_lodged_refusal_is_obeyed_by_the_next_check(all_day: World, client: Client) -> None:
    all_day.authorize(at=clock.now())
    assert told(client, all_day.key, purpose=None, matter="spring-loan") == "allow authorized"

    answer = lodge(client, all_day.key)

    assert answer.status_code == 201
    assert told(client, all_day.key, purpose=None, matter="spring-loan") == "block authorization_revoked"


def test_the_answer_says_back_what_was_lodged_and_no_more(w: World, client: Client) -> None:
    said_at = clock.now() - timedelta(hours=1)

    body = lodge(client, w.key, said_at=said_at.isoformat()).json()

    assert tuple(body) == ("number", "said_at", "on_behalf_of", "lodged_at")
    assert (body["number"], body["said_at"], body["on_behalf_of"]) == (ALICE.e164, clock.iso(said_at), None)
    row = LodgedRefusal.objects.get()
    assert (row.said_at, clock.iso(row.lodged_at), row.firm, row.against) == (
        said_at,
        body["lodged_at"],
        w.loans,
        w.loans,
    )


def test_the_firm_is_named_as_who_acted(w: World, client: Client) -> None:
    lodge(client, w.key)

    acted = Event.objects.filter(verb__in=["refusal.made", "refusal.lodged"])
    assert {(event.actor_kind, event.actor_id) for event in acted} == {("firm", w.loans.pk)}
    assert untraced() == []


def test_an_answer_tells_nothing_about_the_number(w: World, client: Client) -> None:
    now = clock.now()
    registered, refuser, customer, other = (PhoneNumber(f"+861380013800{digit}") for digit in range(1, 5))
    actions.register(holding=w.hold(registered), by=SUBSCRIBER, at=now)
    actions.refuse_firm(holding=w.hold(refuser), firm=w.loans, by=SUBSCRIBER, at=now)
    w.authorize(number=customer, at=now)
    w.authorize(number=other, at=now, firm=w.shop, about=w.purpose("retail"))
    w.hold(ALICE)
    said_at = clock.iso(now - timedelta(minutes=5))
    numbers = [ALICE, registered, refuser, customer, other, PhoneNumber("+8615400138000"), BOB]
    seen = []
    for number in numbers:
        began = time.monotonic()
        answer = lodge(client, w.key, number=number.e164, said_at=said_at)
        assert time.monotonic() - began >= TAKES
        body = answer.json()
        headers = {header: value for header, value in answer.items() if header != "RateLimit"}
        assert body.pop("number") == number.e164
        assert body.pop("lodged_at") > said_at
        seen.append((answer.status_code, headers, body, len(answer.content)))

    assert all(each == seen[0] for each in seen)
    assert Refusal.objects.filter(firm=w.loans).count() == len(numbers)


def test_saying_it_again_is_answered_alike(w: World, client: Client) -> None:
    first, again = lodge(client, w.key), lodge(client, w.key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert Refusal.objects.count() == 1
    assert LodgedRefusal.objects.count() == 2


def test_a_retry_lodges_once(w: World, client: Client) -> None:
    said_at = clock.iso(clock.now())

    first, again = (lodge(client, w.key, once="call-1", said_at=said_at) for _twice in range(2))

    assert again.content == first.content
    assert again.status_code == 201
    assert LodgedRefusal.objects.count() == 1
    assert is_problem(lodge(client, w.key, "call-1", said_at=said_at, number=BOB.e164), 422, "idempotency_conflict")


def test_a_retry_gets_its_outcome_though_the_mandate_has_ended_since(w: World, client: Client, centre_key: str) -> None:
    given = mandate(w, agent=w.centre, client=w.loans)
    said = {"said_at": clock.iso(clock.now()), "on_behalf_of": w.loans.credit_code}
    first = lodge(client, centre_key, once="call-1", **said)
    firms.end_mandate(mandate=given, by=OPERATOR, at=clock.now())

    assert lodge(client, centre_key, once="call-1", **said).content == first.content


@pytest.mark.parametrize(
    ("said", "field", "code"),
    [
        ({"number": "138 0013 800"}, "number", "length"),
        ({"number": ""}, "number", "empty"),
        ({"number": 13800138000}, "number", "invalid"),
        ({"number": None}, "number", "required"),
        ({"said_at": None}, "said_at", "required"),
        ({"said_at": "2026-01-07T02:00:00"}, "said_at", "no_offset"),
        ({"said_at": "noon"}, "said_at", "invalid"),
        ({"said_at": "2020-01-07T02:00:00Z"}, "said_at", "said_at_too_old"),
        ({"said_at": "2099-01-07T02:00:00Z"}, "said_at", "said_at_ahead"),
        ({"on_behalf_of": "x"}, "on_behalf_of", "bad_credit_code"),
        ({"reason": "angry"}, "reason", "unknown_field"),
    ],
)
@pytest.mark.parametrize("mode", list(Mode))
def test_what_cannot_be_lodged_is_refused_and_leaves_nothing(
    w: World, client: Client, said: dict[str, Any], field: str, code: str, mode: Mode
) -> None:
    _, key = world.issue(w.loans, START, mode)
    before = everything()

    assert is_problem(lodge(client, key, once="a-1", **({"number": "10100000012"} | said)), 422, code, field)
    assert everything() == before


# --- for a client ------------------------------------------------------------------------------------


def test_a_call_centre_lodges_against_its_client(w: World, client: Client, centre_key: str) -> None:
    mandate(w, agent=w.centre, client=w.loans)

    answer = lodge(client, centre_key, on_behalf_of=w.loans.credit_code)

    assert answer.json()["on_behalf_of"] == w.loans.credit_code
    assert Refusal.objects.get().firm == w.loans
    assert LodgedRefusal.objects.get().firm == w.centre
    assert told(client, w.key) == "block no_authorization"


@pytest.mark.parametrize("is_proposed", [False, True], ids=["no-mandate", "mandate-not-confirmed"])
def test_without_a_mandate_nothing_is_lodged_against_another(
    w: World, client: Client, centre_key: str, is_proposed: bool
) -> None:
    if is_proposed:
        mandate(w, agent=w.centre, client=w.loans, confirmed=False)
    known = lodge(client, centre_key, on_behalf_of=w.loans.credit_code)

    assert is_problem(known, 422, "not_mandated", "on_behalf_of")
    assert known.content == lodge(client, centre_key, on_behalf_of="91350100M000100Y43").content
    assert not Refusal.objects.exists()


def test_what_was_said_while_the_mandate_held_may_be_lodged_after_it_ended(
    w: World, client: Client, centre_key: str
) -> None:
    given = mandate(w, agent=w.centre, client=w.loans)
    said_at, ended = clock.now() - timedelta(hours=2), clock.now() - timedelta(hours=1)
    firms.end_mandate(mandate=given, by=OPERATOR, at=ended)

    def at(instant: Any) -> Any:
        return lodge(client, centre_key, on_behalf_of=w.loans.credit_code, said_at=instant.isoformat())

    assert at(said_at).status_code == 201
    assert is_problem(at(ended), 422, "not_mandated")


# --- keys --------------------------------------------------------------------------------------------


def test_a_test_key_lodges_nothing_and_reads_no_subscriber(w: World, client: Client) -> None:
    _, key = world.issue(w.loans, START, Mode.TEST)
    before = everything()
    with CaptureQueriesContext(connection) as queries:
        answer = lodge(client, key, once="a-1", number="10100000012")

    assert answer.status_code == 201
    assert tuple(answer.json()) == ("number", "said_at", "on_behalf_of", "lodged_at")
    assert everything() == before
    assert world.of_subscribers(query["sql"] for query in queries) == []
    assert is_problem(lodge(client, key), 422, "not_a_test_number", "number")
    assert is_problem(lodge(client, key, number="10100000099"), 503, "cannot_rule")
    assert not (Number.objects.exists() or Holding.objects.exists() or IdempotencyKey.objects.exists())


def test_lodging_needs_a_key_of_that_scope(w: World, client: Client) -> None:
    _, key = world.issue(w.loans, START, scopes=[Scope.CHECK, Scope.BATCH, Scope.ACCOUNT])

    assert is_problem(lodge(client, key), 403, "scope_missing")


def test_a_call_centre_that_lodges_for_itself_is_itself_refused(w: World, client: Client, centre_key: str) -> None:
    lodge(client, centre_key, on_behalf_of=w.centre.credit_code)

    assert LodgedRefusal.objects.get().against == w.centre
    assert told(client, centre_key, caller=CENTRE_LINE).startswith("block")
