"""The single check through its HTTP door: the contract of design §7, field by field, and laws 1, 2, 3 and 5."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from joserfc import jws
from joserfc.jwk import KeySet
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from consents import actions
from consents.models import AllowDay, CheckRecord
from record import clock, keys
from record.ledger import OPERATOR
from record.numbers import PhoneNumber, ServiceCode
from telemarketers import shipped
from telemarketers.actions import firms, rules
from telemarketers.models import Credential, Mandate
from telemarketers.policy import Block
from telemarketers.terms import ALL_CHANNELS, Channel
from tests import world
from tests.world import ALICE, BOB, CENTRE_LINE, LOANS_LINE, SHOP_LINE, START, SUBSCRIBER, World

CHECKS = "/api/v1/checks"
FIELDS = (
    *("id", "verdict", "reason", "callee", "caller", "purpose", "matter", "channel", "policy"),
    *("checked_at", "valid_until", "client_ref", "receipt"),
)
CLAIMS = (
    *("iss", "jti", "iat", "exp", "firm", "on_behalf_of", "caller", "callee", "purpose", "matter", "channel"),
    *("for_time", "verdict", "reason", "policy", "ref"),
)
UNKNOWN_CLIENT = "91350100M000100Y43"


def ask(client: Client, key: str, path: str = CHECKS, **terms: Any) -> Any:
    """Asks as a firm does. A term given as None is left out."""
    asked = {"caller": LOANS_LINE, "purpose": "loan_finance", "channel": "voice"}
    asked |= {"callee": ALICE.e164} if path == CHECKS else {}
    body = {name: value for name, value in (asked | terms).items() if value is not None}
    headers = {"Authorization": f"Bearer {key}"}
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def told(client: Client, key: str, **terms: Any) -> str:
    """What `ask` is answered, as "block no_authorization"."""
    answer = ask(client, key, **terms)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return " ".join(filter(None, (body["verdict"], body["reason"], body.get("detail"))))


def is_problem(answer: Any, status: int, code: str, field: str | None = None) -> bool:
    """Whether an answer is RFC 9457 with this status and code, and (if given) blames this field."""
    body = answer.json()
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert set(body) == {"type", "title", "status", "code", "detail", "errors"}
    assert body["status"] == status
    assert body["type"] == f"urn:dnc:problem:{body['code']}"
    assert body["title"]
    assert body["detail"]
    assert all(set(error) == {"field", "code", "detail"} for error in body["errors"])
    assert body["code"] == code, body
    fields = [error["field"] for error in body["errors"]]
    return fields == [field] if field else True


def claims_of(receipt: str, client: Client) -> dict[str, Any]:
    """The claims, once the signature is verified with the published key and with nothing of our own."""
    head, payload, signature = receipt.split(".")
    header = json.loads(from_base64(head))
    published = client.get("/.well-known/jwks.json").json()["keys"]
    (key,) = [key for key in published if key["kid"] == header["kid"]]
    assert (header["alg"], key["kty"], key["crv"], key["use"]) == ("EdDSA", "OKP", "Ed25519", "sig")
    public = Ed25519PublicKey.from_public_bytes(from_base64(key["x"]))
    public.verify(from_base64(signature), f"{head}.{payload}".encode())
    claims: dict[str, Any] = json.loads(from_base64(payload))
    return claims


def from_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def early_in_a_minute() -> None:
    """Limits are counted by the minute of the clock; a test of one must not straddle two."""
    left = 60 - time.time() % 60
    if left < 4:
        time.sleep(left)


def mandate(w: World, *, agent: Any, client: Any, confirmed: bool = True) -> Mandate:
    made = firms.propose_mandate(agent=agent, client=client, by=OPERATOR, at=START)
    if confirmed:
        firms.confirm_mandate(mandate=made, by=OPERATOR, at=START)
    return made


def ran(queries: CaptureQueriesContext) -> list[str]:
    """The statements, without the savepoints that stand for BEGIN and COMMIT inside a test."""
    return [query["sql"] for query in queries.captured_queries if "SAVEPOINT" not in query["sql"]]


# --- the answer --------------------------------------------------------------------------------------


def test_answers_with_every_field_of_the_contract_and_no_other(w: World, client: Client) -> None:
    answer = ask(client, w.key, callee="138 0013 8000", caller="010 6552 9988", client_ref="campaign-7/42")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert tuple(body) == FIELDS
    assert (body["verdict"], body["reason"]) == ("block", "no_authorization")
    assert body["callee"] == ALICE.e164
    assert body["caller"] == LOANS_LINE
    assert (body["purpose"], body["matter"], body["channel"]) == ("loan_finance", None, "voice")
    assert body["policy"] == "china-1"
    assert body["client_ref"] == "campaign-7/42"
    for instant in ("checked_at", "valid_until"):
        assert body[instant].endswith("Z")
    checked_at = datetime.fromisoformat(body["checked_at"])
    assert abs(datetime.now(UTC) - checked_at) < timedelta(seconds=30)
    assert datetime.fromisoformat(body["valid_until"]) == checked_at + timedelta(minutes=15)


def test_what_was_left_out_is_null(w: World, client: Client) -> None:
    body = ask(client, w.key, purpose=None, matter="spring-loan").json()

    assert (body["purpose"], body["matter"], body["client_ref"]) == ("loan_finance", "spring-loan", None)


def test_a_null_is_as_good_as_nothing(w: World, client: Client) -> None:
    null = {"matter": None, "on_behalf_of": None, "for_time": None, "client_ref": None}
    asked = {"callee": ALICE.e164, "caller": LOANS_LINE, "purpose": "loan_finance", "channel": "voice", **null}

    answer = client.post(CHECKS, asked, content_type="application/json", headers={"Authorization": f"Bearer {w.key}"})

    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize(
    ("callee", "detail"),
    [
        pytest.param("+1 202 555 0123", "foreign", id="foreign"),
        pytest.param("1380013800", "length", id="short"),
        pytest.param("1.38001E+10", "excel_rounded", id="excel"),
        pytest.param("65529988", "no_area_code", id="local"),
        pytest.param("", "empty", id="empty"),
        pytest.param("call me", "not_a_number", id="words"),
    ],
)
def test_a_callee_that_is_no_number_is_answered_with_why(w: World, client: Client, callee: str, detail: str) -> None:
    answer = ask(client, w.key, callee=callee)

    body = answer.json()
    assert answer.status_code == 200
    assert tuple(body) == (*FIELDS[:3], "detail", *FIELDS[3:])
    assert (body["verdict"], body["reason"], body["detail"]) == ("block", "invalid_number", detail)
    assert body["callee"] == callee
    assert claims_of(body["receipt"], client)["callee"] is None
    assert CheckRecord.objects.get().callee is None


def test_a_registered_number_under_an_open_purpose(w: World, client: Client) -> None:
    _, key = world.issue(w.shop, START)
    actions.register(holding=w.hold(), by=SUBSCRIBER, at=clock.now())

    assert told(client, key, caller=SHOP_LINE, purpose="retail") == "block registered"


def test_an_authorization_is_obeyed_and_so_is_its_revocation(all_day: World, client: Client) -> None:
    authorization = all_day.authorize(at=clock.now())
    allowed = ask(client, all_day.key, purpose=None, matter="spring-loan").json()
    assert (allowed["verdict"], allowed["reason"]) == ("allow", "authorized")
    assert allowed["policy"] == "all-day"
    assert AllowDay.objects.count() == 1

    of_alice = all_day.loans.authorizations.filter(pk=authorization.pk)
    actions.revoke(authorizations=of_alice, by=SUBSCRIBER, at=clock.now())

    assert told(client, all_day.key, purpose=None, matter="spring-loan") == "block authorization_revoked"


def test_an_allow_never_outlives_the_authorization_that_it_rests_on(all_day: World, client: Client) -> None:
    authorization = all_day.authorize(at=clock.now())
    for_time = authorization.ends - timedelta(minutes=1)
    # The door looks a day ahead at most, and an authorization lasts months: so ask the same verb as it does.
    answer = all_day.ask(at=for_time, matter="spring-loan")

    assert answer.rulings[0].allowed
    assert answer.valid_until == authorization.ends


def test_a_service_message_is_exempt_whatever_the_citizen_says(w: World, client: Client) -> None:
    actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)
    actions.refuse_firm(holding=w.hold(), firm=w.loans, by=SUBSCRIBER, at=START)

    assert told(client, w.key, purpose=None, matter="login-codes", channel="sms") == "allow exempt"


def test_a_service_check_names_a_matter(w: World, client: Client) -> None:
    assert told(client, w.key, purpose="verification") == "block purpose_not_licensed matter"


def test_somebody_elses_calling_number_is_answered_not_refused(w: World, client: Client) -> None:
    assert told(client, w.key, caller=SHOP_LINE) == "block caller_unregistered"
    assert told(client, w.key, caller="13700137000") == "block caller_unregistered"
    assert told(client, w.key, caller="96110") == "block caller_unregistered"


@pytest.mark.parametrize("channel", ["voice", "robocall", "sms"])
def test_every_channel_is_answered_for_itself(all_day: World, client: Client, channel: str) -> None:
    all_day.authorize(at=clock.now(), channels=Channel.named(channel))

    answers = {
        each.label: told(client, all_day.key, purpose=None, matter="spring-loan", channel=each.label)
        for each in ALL_CHANNELS
    }

    assert answers.pop(channel) == "allow authorized"
    assert set(answers.values()) == {"block no_authorization"}


# --- on behalf of a client ---------------------------------------------------------------------------


def ask_for_client(w: World, client: Client, **terms: Any) -> Any:
    key = world.issue(w.centre, START)[1]
    return ask(client, key, **{"caller": CENTRE_LINE, "on_behalf_of": w.loans.credit_code, **terms})


def test_a_mandated_call_centre_rests_on_its_clients_authorization(all_day: World, client: Client) -> None:
    mandate(all_day, agent=all_day.centre, client=all_day.loans)
    all_day.authorize(at=clock.now())

    body = ask_for_client(all_day, client, purpose=None, matter="spring-loan").json()

    assert (body["verdict"], body["reason"]) == ("allow", "authorized")
    claims = claims_of(body["receipt"], client)
    assert (claims["firm"], claims["on_behalf_of"]) == (all_day.centre.credit_code, all_day.loans.credit_code)
    kept = CheckRecord.objects.get()
    assert (kept.firm, kept.principal, kept.on_behalf_of) == (all_day.centre, all_day.loans, all_day.loans.credit_code)


@pytest.mark.parametrize("is_proposed", [False, True], ids=["no-mandate", "mandate-not-confirmed"])
def test_without_a_mandate_in_force_nothing_of_the_client_shows(w: World, client: Client, is_proposed: bool) -> None:
    if is_proposed:
        mandate(w, agent=w.centre, client=w.loans, confirmed=False)

    real = ask_for_client(w, client, purpose=None, matter="spring-loan").json()
    invented = ask_for_client(w, client, purpose=None, matter="no-such-matter").json()

    assert (real["verdict"], real["reason"]) == ("block", "not_mandated")
    assert real["purpose"] is None
    assert comparable(real, matter=None) == comparable(invented, matter=None)


def test_a_mandate_that_ended_is_none(w: World, client: Client) -> None:
    made = mandate(w, agent=w.centre, client=w.loans)
    assert ask_for_client(w, client).json()["reason"] == "no_authorization"

    firms.end_mandate(mandate=made, by=OPERATOR, at=clock.now())

    assert ask_for_client(w, client).json()["reason"] == "not_mandated"


def test_a_mandate_is_no_mandate_the_other_way_round(w: World, client: Client) -> None:
    mandate(w, agent=w.centre, client=w.loans)

    assert told(client, w.key, on_behalf_of=w.centre.credit_code) == "block not_mandated"


def test_a_client_that_nobody_knows_is_not_approved(w: World, client: Client) -> None:
    body = ask_for_client(w, client, on_behalf_of=UNKNOWN_CLIENT, purpose=None, matter="spring-loan").json()

    assert (body["verdict"], body["reason"], body["detail"]) == ("block", "firm_not_approved", "on_behalf_of")
    kept = CheckRecord.objects.get()
    assert (kept.principal, kept.on_behalf_of) == (None, UNKNOWN_CLIENT)


def test_a_client_that_is_not_approved_any_more(w: World, client: Client) -> None:
    mandate(w, agent=w.centre, client=w.loans)
    firms.end_approval(approval=w.loans.approvals.get(), by=OPERATOR, at=clock.now())

    body = ask_for_client(w, client).json()

    assert (body["reason"], body["detail"]) == ("firm_not_approved", "on_behalf_of")


def test_a_firm_that_names_itself_as_client_acts_for_itself(w: World, client: Client) -> None:
    assert told(client, w.key, on_behalf_of=w.loans.credit_code) == "block no_authorization"


# --- the time asked about ----------------------------------------------------------------------------


def test_a_time_to_come_is_ruled_on_as_such(all_day: World, client: Client) -> None:
    all_day.authorize(at=clock.now())
    for_time = (clock.now() + timedelta(hours=23)).replace(microsecond=0)

    body = ask(client, all_day.key, purpose=None, matter="spring-loan", for_time=clock.iso(for_time)).json()

    assert body["verdict"] == "allow"
    assert for_time < datetime.fromisoformat(body["valid_until"]) <= for_time + timedelta(minutes=15)
    assert datetime.fromisoformat(body["checked_at"]) < for_time
    assert claims_of(body["receipt"], client)["for_time"] == clock.iso(for_time)
    assert CheckRecord.objects.get().for_time == for_time


def test_the_offset_of_a_time_is_the_askers_to_choose(w: World, client: Client) -> None:
    for_time = (clock.now() + timedelta(hours=2)).replace(microsecond=0)

    body = ask(client, w.key, for_time=for_time.astimezone(ZoneInfo("Asia/Shanghai")).isoformat()).json()

    assert claims_of(body["receipt"], client)["for_time"] == clock.iso(for_time)


def test_a_second_ago_still_means_now(w: World, client: Client) -> None:
    a_second_ago = clock.now() - timedelta(seconds=1)

    body = ask(client, w.key, for_time=clock.iso(a_second_ago)).json()

    assert claims_of(body["receipt"], client)["for_time"] == body["checked_at"]


@pytest.mark.parametrize(
    ("ahead", "code"),
    [
        pytest.param(timedelta(minutes=-5), "for_time_passed", id="passed"),
        pytest.param(timedelta(hours=24, minutes=1), "for_time_too_far", id="over-24-hours"),
        pytest.param(timedelta(days=365_000), "for_time_too_far", id="a-thousand-years"),
    ],
)
def test_a_time_that_cannot_be_asked_about(w: World, client: Client, ahead: timedelta, code: str) -> None:
    answer = ask(client, w.key, for_time=clock.iso(clock.now() + ahead))

    assert is_problem(answer, 422, code, "for_time")
    assert not CheckRecord.objects.exists()


@pytest.mark.parametrize(
    ("for_time", "code"),
    [
        pytest.param("2026-11-23T10:00:00", "no_offset", id="naive"),
        pytest.param("2026-11-23", "no_offset", id="a-day"),
        pytest.param("tomorrow", "invalid", id="words"),
        pytest.param(1_795_000_000, "invalid", id="a-number"),
        pytest.param(["2026-11-23T10:00:00Z"], "invalid", id="a-list"),
        pytest.param("2026-02-30T10:00:00Z", "invalid", id="no-such-day"),
        pytest.param("0001-01-01T00:00:00+23:59", "for_time_passed", id="before-the-first-year"),
        pytest.param("9999-12-31T23:59:59-23:59", "for_time_too_far", id="after-the-last-year"),
    ],
)
def test_a_time_that_cannot_be_read(w: World, client: Client, for_time: Any, code: str) -> None:
    assert is_problem(ask(client, w.key, for_time=for_time), 422, code, "for_time")


# --- the receipt -------------------------------------------------------------------------------------


def test_a_receipt_says_what_was_asked_and_answered(w: World, client: Client, settings: Settings) -> None:
    body = ask(client, w.key, client_ref="42").json()

    claims = claims_of(body["receipt"], client)

    assert set(claims) == set(CLAIMS)
    assert claims["iss"] == settings.RECEIPT_ISSUERS[0]
    assert claims["jti"] == body["id"]
    assert claims["iat"] == int(datetime.fromisoformat(body["checked_at"]).timestamp())
    assert claims["exp"] == int(datetime.fromisoformat(body["valid_until"]).timestamp())
    assert claims["firm"] == w.loans.credit_code
    assert claims["on_behalf_of"] is None
    assert claims["for_time"] == body["checked_at"]
    assert claims["ref"] == "42"
    for name in ("caller", "callee", "purpose", "matter", "channel", "verdict", "reason", "policy"):
        assert claims[name] == body[name], name


def test_a_receipt_verifies_with_a_public_library(w: World, client: Client) -> None:
    receipt = ask(client, w.key).json()["receipt"]
    published = KeySet.import_key_set(client.get("/.well-known/jwks.json").json())

    signed = jws.deserialize_compact(receipt, published, algorithms=["EdDSA"])

    assert json.loads(signed.payload) == claims_of(receipt, client)


def test_a_changed_receipt_does_not_verify(w: World, client: Client) -> None:
    head, payload, signature = ask(client, w.key).json()["receipt"].split(".")
    forged = json.loads(from_base64(payload)) | {"verdict": "allow"}
    payload = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")

    with pytest.raises(InvalidSignature):
        claims_of(f"{head}.{payload}.{signature}", client)


def test_the_published_keys_hold_nothing_private(client: Client) -> None:
    answer = client.get("/.well-known/jwks.json")

    published = answer.json()["keys"]
    assert answer["Cache-Control"] == "public, max-age=3600"
    assert len({key["kid"] for key in published}) == len(published) >= 2
    for key in published:
        assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}


# --- the record --------------------------------------------------------------------------------------


def test_the_record_is_there_when_the_answer_is(w: World, client: Client) -> None:
    body = ask(client, w.key, client_ref="for 13800138000").json()

    kept = CheckRecord.objects.get(pk=body["id"])
    assert clock.iso(kept.checked_at) == body["checked_at"]
    assert clock.iso(kept.valid_until) == body["valid_until"]
    assert (kept.verdict, kept.reason, kept.caller) == (body["verdict"], body["reason"], body["caller"])
    assert (kept.firm, kept.principal, kept.purpose_id) == (w.loans, w.loans, "loan_finance")
    assert kept.credential == w.credential
    assert kept.policy.version == body["policy"]
    assert bytes(kept.callee or b"") == keys.pseudonymizer().pseudonym(ALICE)
    assert kept.callee_range == "mobile"
    # What the firm wrote comes back to the firm as it was, and is kept without the number in it.
    assert body["client_ref"] == "for 13800138000"
    assert kept.client_ref == "for 138****8000"


def test_no_subscribers_number_is_kept_in_clear(w: World, client: Client) -> None:
    ask(client, w.key, callee=BOB.e164, caller="13700137000", client_ref="139 0013 9000")
    ask(client, w.key, callee="1390013900", caller="13700137000")

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM consents_checkrecord")
        rows = "".join(str(row) for row in cursor.fetchall())

    for digits in ("13900139000", "139 0013 9000", "13700137000", "1390013900"):
        assert digits not in rows


def test_every_check_is_ruled_on_and_recorded_anew(w: World, client: Client) -> None:
    first, second = (ask(client, w.key, client_ref="the same").json() for _again in range(2))

    assert first["id"] != second["id"]
    assert CheckRecord.objects.count() == 2


def test_what_is_malformed_is_not_recorded(w: World, client: Client) -> None:
    assert ask(client, w.key, purpose="no_such_purpose").status_code == 422

    assert not CheckRecord.objects.exists()


# --- law 5: a firm learns the answer to its own question, and nothing else ----------------------------


def comparable(body: dict[str, Any], **without: Any) -> dict[str, Any]:
    """An answer without what must differ: its id, its times, the number asked about, and the receipt over these."""
    differs = ("id", "checked_at", "valid_until", "callee", "receipt", *without)
    return {name: value for name, value in body.items() if name not in differs}


@pytest.mark.parametrize("channel", ["voice", "sms"])
def test_a_block_under_a_consent_purpose_looks_the_same_for_everybody(w: World, client: Client, channel: str) -> None:
    now = clock.now()
    registered, refuser, private, hermit = (PhoneNumber(f"+861380013800{digit}") for digit in range(1, 5))
    actions.register(holding=w.hold(registered), by=SUBSCRIBER, at=now)
    actions.register(holding=w.hold(refuser), by=SUBSCRIBER, at=now)
    actions.refuse_firm(holding=w.hold(refuser), firm=w.loans, by=SUBSCRIBER, at=now)
    w.authorize(number=private, at=now, firm=w.shop, about=w.purpose("retail"))
    never: Block = (600, 600)
    actions.set_preference(
        holding=w.hold(hermit), weekday=never, rest_day=never, no_requests=True, by=SUBSCRIBER, at=now
    )
    asked_about = {
        "known, and nothing said": ALICE,
        "registered": registered,
        "registered, and the firm refused": refuser,
        "authorized another firm": private,
        "takes no calls at all": hermit,
        "unallocated": PhoneNumber("+8615400138000"),
        "never seen": BOB,
    }
    w.hold(ALICE)
    ask(client, w.key)  # what is read once and remembered is read now

    seen, claimed, costs = {}, {}, {}
    for name, number in asked_about.items():
        with CaptureQueriesContext(connection) as queries:
            answer = ask(client, w.key, callee=number.e164, channel=channel)
        body = answer.json()
        claims = claims_of(body["receipt"], client)
        differ = ("jti", "iat", "exp", "callee", "for_time")
        assert len(answer.content) == len(ask(client, w.key, callee=BOB.e164, channel=channel).content), name
        # What is left of a limit counts the firm's own questions, and tells nothing else.
        headers = {header: value for header, value in answer.items() if header != "RateLimit"}
        seen[name] = (answer.status_code, headers, comparable(body))
        claimed[name] = {claim: claims[claim] for claim in claims if claim not in differ}
        costs[name] = len(ran(queries))

    expected = seen["never seen"]
    assert expected[2]["reason"] == "no_authorization"
    assert seen == dict.fromkeys(asked_about, expected)
    assert claimed == dict.fromkeys(asked_about, claimed["never seen"])
    assert costs == dict.fromkeys(asked_about, costs["never seen"])


def test_the_true_reason_is_kept_and_not_told(w: World, client: Client) -> None:
    actions.refuse_firm(holding=w.hold(), firm=w.loans, by=SUBSCRIBER, at=clock.now())

    body = ask(client, w.key).json()

    assert body["reason"] == "no_authorization"
    assert CheckRecord.objects.get().inner_reason == "firm_refused"
    assert "firm_refused" not in json.dumps([body, claims_of(body["receipt"], client)])


@pytest.mark.parametrize("matter", ["autumn-sale", "no-such-matter"], ids=["somebody-elses", "unknown"])
def test_a_matter_of_somebody_else_is_as_unknown_as_an_invented_one(w: World, client: Client, matter: str) -> None:
    world.matter(w.shop, "autumn-sale", "retail", START)

    answer = ask(client, w.key, purpose=None, matter=matter)

    assert is_problem(answer, 422, "unknown_matter", "matter")
    assert answer.content == ask(client, w.key, purpose=None, matter="another-that-is-not-there").content


# --- limits ------------------------------------------------------------------------------------------


def test_an_answer_says_what_is_left_of_the_limit(w: World, client: Client, settings: Settings) -> None:
    early_in_a_minute()
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "checks": 10}

    answers = [ask(client, w.key) for _again in range(2)]

    assert answers[0]["RateLimit-Policy"] == '"checks";q=10;w=60'
    assert [answer["RateLimit"].split(";")[1] for answer in answers] == ["r=9", "r=8"]


def test_over_the_limit_one_waits_and_others_do_not(w: World, client: Client, settings: Settings) -> None:
    early_in_a_minute()
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "checks": 1}
    _, shop_key = world.issue(w.shop, START)
    _, second_key = world.issue(w.loans, START)
    assert ask(client, w.key).status_code == 200

    refused = ask(client, w.key)

    assert is_problem(refused, 429, "rate_limited")
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert refused["RateLimit"].startswith('"checks";r=0;t=')
    # Limits are the firm's: another key of the same firm brings no more, another firm has its own.
    assert is_problem(ask(client, second_key), 429, "rate_limited")
    assert ask(client, shop_key, caller=SHOP_LINE, purpose="retail").status_code == 200
    assert CheckRecord.objects.count() == 2


@pytest.fixture
def redis_is_down(settings: Settings) -> Iterator[None]:
    """Redis is configured as in production, and nothing listens there."""
    settings.CACHES = {
        **settings.CACHES,
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"socket_timeout": 0.3, "socket_connect_timeout": 0.3},
        },
    }
    yield
    caches["worker"].clear()


@pytest.mark.usefixtures("redis_is_down")
def test_while_redis_is_down_a_worker_grants_its_share(w: World, client: Client, settings: Settings) -> None:
    early_in_a_minute()
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "checks": 8}
    settings.WEB_WORKERS = 4

    answers = [ask(client, w.key) for _again in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0]["RateLimit-Policy"] == '"checks";q=2;w=60'
    assert is_problem(answers[2], 429, "rate_limited")


@pytest.mark.usefixtures("redis_is_down")
def test_a_redis_that_is_down_does_not_make_a_check_wait(w: World, client: Client) -> None:
    began = time.monotonic()
    assert ask(client, w.key).status_code == 200

    # A dialler waits for this answer.
    assert time.monotonic() - began < 3


# --- law 3: what cannot be ruled on is not allowed ----------------------------------------------------


def test_without_a_policy_in_force_nothing_is_allowed(db: None, client: Client) -> None:
    rules.add_missing_purposes(shipped.purposes(), by=OPERATOR, at=START)
    loans = world.firm("91110000MA0000001L", "示范贷款有限公司", START, "loan_finance", line=LOANS_LINE)
    _, key = world.issue(loans, START)

    answer = ask(client, key)

    assert is_problem(answer, 503, "cannot_rule")
    assert int(answer["Retry-After"]) >= 1
    assert not CheckRecord.objects.exists()


@pytest.mark.parametrize(
    "table",
    [
        "telemarketers_policy",
        "telemarketers_credential",
        "telemarketers_purpose",
        "consents_holding",
        "consents_checkrecord",
        "consents_allowday",
        "record_event",
    ],
)
def test_a_failing_table_allows_nothing(all_day: World, client: Client, table: str) -> None:
    all_day.authorize(all_day.purpose("loan_finance"), at=clock.now())
    assert told(client, all_day.key) == "allow authorized"
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO out_of_reach")

    answer = ask(client, all_day.key)

    assert is_problem(answer, 503, "cannot_rule")
    assert int(answer["Retry-After"]) >= 1
    assert b"allow" not in answer.content.replace(b"not allowed", b"")
    assert table not in answer.content.decode()


def test_a_database_out_of_reach_allows_nothing(
    django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    nowhere = {"NAME": "/no/such/folder/registry.sqlite3", "HOST": "/no/such/folder"}
    with django_db_blocker.unblock(), monkeypatch.context() as patch:
        connection.close()
        for name in ("NAME", "HOST"):
            patch.setitem(connection.settings_dict, name, nowhere[name])
        answer = ask(client, "dnc_live_" + "x" * 32)
        ready = client.get("/readyz")
        alive = client.get("/healthz")
        connection.close()

    assert is_problem(answer, 503, "cannot_rule")
    assert "Retry-After" in answer
    assert (ready.status_code, alive.status_code) == (503, 200)


# --- what it costs -----------------------------------------------------------------------------------


def test_a_check_costs_few_queries(all_day: World, client: Client) -> None:
    all_day.authorize(at=clock.now())
    ask(client, all_day.key, purpose=None, matter="spring-loan")

    with CaptureQueriesContext(connection) as queries:
        answer = ask(client, all_day.key, purpose=None, matter="spring-loan")

    assert answer.json()["verdict"] == "allow"
    print(f"\na single check that allows: {len(ran(queries))} queries")
    # The time, the key, the matter, the facts, the record, the day.
    assert len(ran(queries)) <= 6


def test_a_check_for_a_client_costs_few_queries(w: World, client: Client) -> None:
    mandate(w, agent=w.centre, client=w.loans)
    ask_for_client(w, client)
    key = world.issue(w.centre, START)[1]

    with CaptureQueriesContext(connection) as queries:
        ask(client, key, caller=CENTRE_LINE, on_behalf_of=w.loans.credit_code)

    print(f"\na single check for a client: {len(ran(queries))} queries")
    # Besides: the client and its mandate.
    assert len(ran(queries)) <= 7


def test_keys_are_kept_as_digests_alone(w: World) -> None:
    kept = Credential.objects.get(pk=w.credential.pk)

    assert bytes(kept.digest) == hashlib.sha256(w.key.encode()).digest()
    assert w.key[-8:] not in str(vars(kept))


def test_a_service_code_is_a_callers_number_too(w: World, client: Client) -> None:
    code = ServiceCode("4008123456")
    firms.add_calling_number(firm=w.loans, number=code, display_name="", by=OPERATOR, at=START)

    assert ask(client, w.key, caller="400-812-3456").json()["caller"] == "4008123456"
