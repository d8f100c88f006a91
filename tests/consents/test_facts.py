"""Facts at an instant: one statement whatever the number of numbers, each number's own, as they stood then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

from consents import actions, check, facts
from consents.decision import CalleeFacts
from consents.facts import Asking
from consents.hours import OwnHours
from consents.models import Authorization
from dncregistry.errors import CannotRule
from record.ledger import OPERATOR
from record.numbers import PhoneNumber
from telemarketers import shipped
from telemarketers.actions import firms
from telemarketers.models import Sanction
from telemarketers.terms import ALL_CHANNELS, Channel, PurposeKind, Step
from tests import world
from tests.world import ALICE, BOB, CENTRE_LINE, LOANS_LINE, NOW, SHOP_LINE, START, SUBSCRIBER, World

INSTANT = timedelta(microseconds=1)
TERM = timedelta(minutes=15)


def loan(w: World, channel: Channel = Channel.VOICE) -> Asking:
    """The lender asks about its offer, from its own line."""
    return Asking(
        firm=w.loans.pk,
        principal=w.loans.pk,
        caller=LOANS_LINE,
        purpose="loan_finance",
        kind=PurposeKind.MARKETING,
        matter=w.offer.pk,
        channel=channel,
    )


def sale(w: World) -> Asking:
    """The retailer asks about its purpose, which is open."""
    return Asking(w.shop.pk, w.shop.pk, SHOP_LINE, "retail", PurposeKind.MARKETING, None, Channel.VOICE)


def ruling(asking: Asking, number: PhoneNumber = ALICE, at: datetime = NOW) -> str:
    _known, (ruled,) = check.rule(asking, [check.read_callee(number.e164)], at)
    return f"{ruled.verdict} {ruled.reason}"


# --- the budget --------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 1_000, 10_000])
def test_gathering_is_one_statement(w: World, django_assert_num_queries: DjangoAssertNumQueries, count: int) -> None:
    """Of a policy already read: one that takes over is read once more, by each process, ever."""
    numbers = [PhoneNumber(f"+86138{index:08}") for index in range(count)]
    for number in numbers[::1000]:
        actions.register(holding=w.hold(number), by=SUBSCRIBER, at=START)
    facts.gather(sale(w), [], NOW)
    with django_assert_num_queries(1):
        known = facts.gather(sale(w), numbers, NOW)
    assert list(known.callees) == numbers
    assert [number for number in numbers if known.callees[number].registered] == numbers[::1000]


def test_ruling_is_one_statement(w: World, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    w.authorize()
    facts.gather(sale(w), [], NOW)
    with django_assert_num_queries(1):
        assert ruling(loan(w)) == "allow authorized"


# --- each number's own -------------------------------------------------------------------------------


def test_every_number_has_its_own_facts_and_the_rest_have_none(w: World) -> None:
    carol, dave = PhoneNumber("+8613700137000"), PhoneNumber("+8613600136000")
    granted = w.authorize(number=ALICE, cap_days=2)
    w.ask(ALICE.e164, matter="spring-loan", at=NOW)
    actions.register(holding=w.hold(BOB), channels=Channel.VOICE, by=SUBSCRIBER, at=START)
    actions.refuse_firm(holding=w.hold(carol), firm=w.loans, by=SUBSCRIBER, at=START)
    actions.set_preference(
        holding=w.hold(dave), weekday=(600, 660), rest_day=None, no_requests=True, by=SUBSCRIBER, at=START
    )
    never_seen = PhoneNumber("+8613500135000")
    callees = facts.gather(loan(w), [never_seen, dave, carol, BOB, ALICE], NOW).callees

    here = (ZoneInfo("Asia/Shanghai"),)
    assert callees[never_seen] == CalleeFacts(zones=here)
    assert callees[dave] == CalleeFacts(own_hours=OwnHours((600, 660), None), zones=here)
    assert callees[carol] == CalleeFacts(refused=True, zones=here)
    assert callees[BOB] == CalleeFacts(registered=Channel.VOICE | Channel.ROBOCALL, zones=here)
    (permit,) = callees[ALICE].permits
    assert (permit.id, permit.matter, permit.channels) == (granted.pk, w.offer.pk, Channel.VOICE)
    assert (permit.starts, permit.ends, permit.ended, permit.cap_days) == (START, granted.ends, False, 2)
    assert callees[ALICE].allow_days == {NOW.date()}
    assert not callees[ALICE].registered


def test_registrations_for_all_and_for_a_purpose_add_up(w: World) -> None:
    holding = w.hold()
    actions.register(holding=holding, channels=Channel.SMS, by=SUBSCRIBER, at=START)
    actions.register(
        holding=holding, purposes=[w.purpose("retail")], channels=Channel.ROBOCALL, by=SUBSCRIBER, at=START
    )
    assert facts.gather(sale(w), [ALICE], NOW).callees[ALICE].registered == Channel.SMS | Channel.ROBOCALL
    assert facts.gather(loan(w), [ALICE], NOW).callees[ALICE].registered == Channel.SMS


def test_a_number_is_found_under_every_live_key(rotate_number_key: Callable[[], None], w: World) -> None:
    """Said under the first key, and said and counted under the second, after it came."""
    actions.register(holding=w.hold(ALICE), by=SUBSCRIBER, at=START)
    w.ask_shop(BOB.e164)
    rotate_number_key()
    actions.register(holding=w.hold(PhoneNumber("+8613700137000")), by=SUBSCRIBER, at=START)
    callees = facts.gather(sale(w), [ALICE, BOB, PhoneNumber("+8613700137000")], NOW).callees
    assert [bool(known.registered) for known in callees.values()] == [True, False, True]
    assert callees[BOB].allow_days == {NOW.date()}


# --- as they stood -----------------------------------------------------------------------------------


def test_the_past_is_ruled_on_as_it_stood(w: World) -> None:
    """Registered, authorized, revoked, handed over: each from its instant on, and not before."""
    holding = w.hold()
    monday = NOW + timedelta(days=5)
    actions.register(holding=holding, by=SUBSCRIBER, at=monday)
    w.authorize(w.purpose("retail"), firm=w.shop, at=monday + timedelta(minutes=10))
    actions.revoke(
        authorizations=Authorization.objects.filter(holding=holding), by=SUBSCRIBER, at=monday + timedelta(minutes=20)
    )
    newcomer = actions.add_subscriber(by=SUBSCRIBER, at=monday)
    actions.hand_over(
        number=ALICE,
        subscriber=newcomer,
        keep_registration=False,
        by=SUBSCRIBER,
        at=monday + timedelta(minutes=30),
    )
    told = [
        ruling(sale(w), at=monday + timedelta(minutes=minutes) + nudge)
        for minutes in (0, 10, 20, 30)
        for nudge in (-INSTANT, timedelta(0))
    ]
    assert told == [
        "allow not_registered",
        "block registered",
        "block registered",
        "allow authorized",
        "allow authorized",
        "block authorization_revoked",
        "block authorization_revoked",
        "allow not_registered",
    ]


def test_a_refusal_after_an_expired_authorization_shows_as_revoked(w: World) -> None:
    """And to a firm that never held one, as none; the record keeps the true reason."""
    w.authorize(months=1)
    after = NOW + timedelta(days=33)
    for number in (ALICE, BOB):
        actions.refuse_firm(holding=w.hold(number), firm=w.loans, by=SUBSCRIBER, at=after)
    _known, rulings = check.rule(loan(w), [check.read_callee(number.e164) for number in (ALICE, BOB)], after)
    assert [(ruled.reason, ruled.inner) for ruled in rulings] == [
        ("authorization_revoked", "firm_refused"),
        ("no_authorization", "firm_refused"),
    ]


@pytest.mark.parametrize("first", ["china", "open_for_all"])
def test_a_policy_that_was_never_published_after_all_leaves_no_rules_behind(db: None, first: str) -> None:
    """Rolled back, its id may become another policy's."""
    told = {}
    for policy in sorted(shipped.POLICIES, key=lambda name: name != first):
        with transaction.atomic():
            w = world.build(policy=policy)
            told[policy] = ruling(loan(w))
            transaction.set_rollback(True)
    assert told == {"china": "block no_authorization", "open_for_all": "allow not_registered"}


def test_without_a_policy_nothing_can_be_ruled(w: World) -> None:
    with pytest.raises(CannotRule):
        facts.gather(sale(w), [ALICE], START - INSTANT)


# --- the caller's side -------------------------------------------------------------------------------


def sanction(w: World, *, starts: timedelta = timedelta(0), **words: Any) -> None:
    """In force from `starts` after now, for a day. The verbs decide for now only; a notice may name a later start."""
    Sanction.objects.create(
        reason="五人投诉",
        rule="管理办法第三条",
        remedy="整改",
        proposed_at=START,
        starts=NOW + starts,
        ends=NOW + starts + timedelta(days=1),
        proposed_by=w.staff,
        approved_by=w.other_staff,
        **words,
    )


@pytest.mark.parametrize(
    "target",
    [
        pytest.param({"caller": LOANS_LINE}, id="line"),
        pytest.param({"caller_range": LOANS_LINE[:6]}, id="range"),
        pytest.param({"caller_range": LOANS_LINE}, id="range-of-one"),
    ],
)
def test_a_line_is_stopped_by_name_and_by_range(w: World, target: dict[str, Any]) -> None:
    w.authorize()
    sanction(w, step=Step.SUSPENSION, **target)
    assert ruling(loan(w), at=NOW - INSTANT) == "allow authorized"
    assert ruling(loan(w)) == "block caller_suspended"
    assert ruling(loan(w), at=NOW + timedelta(days=1)) == "allow authorized"
    assert ruling(sale(w)) == "allow not_registered"


def test_the_brake_stops_one_line_for_marketing(w: World) -> None:
    w.authorize()
    sanction(w, step=Step.BRAKE, caller=LOANS_LINE)
    assert ruling(loan(w)) == "block caller_suspended"
    codes = Asking(w.loans.pk, w.loans.pk, LOANS_LINE, "verification", PurposeKind.SERVICE, w.codes.pk, Channel.SMS)
    assert ruling(codes) == "allow exempt"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param(Step.SUSPENSION, timedelta(minutes=5), id="suspension"),
        pytest.param(Step.BAR, timedelta(minutes=5), id="bar"),
        pytest.param(Step.REMINDER, TERM, id="reminder-ends-nothing"),
        pytest.param(Step.RECTIFICATION, TERM, id="rectification-ends-nothing"),
    ],
)
def test_an_allow_ends_where_a_sanction_will_begin(w: World, step: Step, expected: timedelta) -> None:
    sanction(w, step=step, firm=w.shop, starts=timedelta(minutes=5))
    _known, (ruled,) = check.rule(sale(w), [check.read_callee(ALICE.e164)], NOW)
    assert ruled.valid_until - NOW == expected


def test_an_allow_of_service_does_not_end_where_a_sanction_of_marketing_begins(w: World) -> None:
    sanction(w, step=Step.SUSPENSION, firm=w.loans, starts=timedelta(minutes=5))
    codes = Asking(w.loans.pk, w.loans.pk, LOANS_LINE, "verification", PurposeKind.SERVICE, w.codes.pk, Channel.SMS)
    _known, (ruled,) = check.rule(codes, [check.read_callee(ALICE.e164)], NOW)
    assert ruled.valid_until - NOW == TERM


def test_a_client_is_judged_beside_its_agent(w: World) -> None:
    """Either's line will do; the licence must be the client's; without mandate, or unknown, it is no client."""
    w.authorize()

    def on_behalf(principal: int | None, caller: str = CENTRE_LINE) -> Asking:
        return Asking(w.centre.pk, principal, caller, "loan_finance", PurposeKind.MARKETING, w.offer.pk, Channel.VOICE)

    assert ruling(on_behalf(None)) == "block firm_not_approved"
    assert ruling(on_behalf(w.loans.pk)) == "block not_mandated"
    mandate = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=START)
    assert ruling(on_behalf(w.loans.pk)) == "block not_mandated"
    firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=START)
    assert ruling(on_behalf(w.loans.pk)) == "allow authorized"
    assert ruling(on_behalf(w.loans.pk, LOANS_LINE)) == "allow authorized"
    assert ruling(on_behalf(w.loans.pk, SHOP_LINE)) == "block caller_unregistered"
    firms.end_mandate(mandate=mandate, by=OPERATOR, at=NOW)
    assert ruling(on_behalf(w.loans.pk)) == "block not_mandated"


def test_all_channels_are_registered_unless_some_are_named(w: World) -> None:
    actions.register(holding=w.hold(), by=SUBSCRIBER, at=START)
    assert facts.gather(sale(w), [ALICE], NOW).callees[ALICE].registered == ALL_CHANNELS
