"""Two who speak about one number at once: the later to be heard is the later to have spoken (law 2).

Whoever waited for the other holds an older stamp. What is said then is dated no earlier than what was said meanwhile,
so that a revocation ends the grant that overtook it, and a grant never hides behind a registration.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from consents import actions
from consents.models import Authorization, Refusal
from dncregistry.errors import Refused
from telemarketers.terms import Channel
from tests.world import ALICE, NOW, SUBSCRIBER, World

EARLIER = NOW - timedelta(seconds=1)


def test_a_revocation_with_an_older_stamp_ends_the_grant_that_overtook_it(w: World) -> None:
    w.authorize(at=NOW)
    assert actions.revoke(authorizations=Authorization.objects.all(), by=SUBSCRIBER, at=EARLIER) == 1
    assert w.ruling(matter="spring-loan", at=NOW) == "block authorization_revoked"


def test_a_grant_with_an_older_stamp_is_dated_after_the_registration_that_overtook_it(w: World) -> None:
    holding = w.hold(at=EARLIER)
    (registration,) = actions.register(holding=holding, by=SUBSCRIBER, at=NOW)
    granted = w.authorize(at=EARLIER)
    assert granted.starts == registration.starts


def test_registering_with_an_older_stamp_ends_the_grant_that_overtook_it(w: World) -> None:
    granted = w.authorize(at=NOW)
    actions.register(holding=granted.holding, by=SUBSCRIBER, at=EARLIER)
    granted.refresh_from_db()
    assert granted.ended == "registered"


def test_refusing_twice_in_the_wrong_order_is_refusing_once(w: World) -> None:
    holding = w.hold(at=EARLIER)
    first = actions.refuse_firm(holding=holding, firm=w.loans, by=SUBSCRIBER, at=NOW)
    assert actions.refuse_firm(holding=holding, firm=w.loans, by=SUBSCRIBER, at=EARLIER) == first
    assert Refusal.objects.count() == 1


def test_the_second_of_two_new_holders_is_told(w: World) -> None:
    w.hold(at=EARLIER)
    people = [actions.add_subscriber(by=SUBSCRIBER, at=EARLIER) for _person in range(2)]
    actions.hand_over(number=ALICE, subscriber=people[0], keep_registration=True, by=SUBSCRIBER, at=NOW)
    with pytest.raises(Refused) as refusal:
        actions.hand_over(number=ALICE, subscriber=people[1], keep_registration=True, by=SUBSCRIBER, at=EARLIER)
    assert refusal.value.code == "holding_ended"


def test_asking_ahead_is_no_way_around_the_cap(w: World) -> None:
    """Three days in thirty, in whatever order they are asked for."""
    w.authorize(at=EARLIER)
    day = timedelta(days=1)
    for asked_on, ahead in ((0, 0), (1, 0), (2, 1)):
        at = NOW + asked_on * day
        assert w.ruling(matter="spring-loan", at=at, for_time=at + ahead * day) == "allow authorized"
    assert w.ruling(matter="spring-loan", at=NOW + 2 * day) == "block cap_reached"


def test_the_citizens_own_cap_holds_whatever_matter_is_named(w: World) -> None:
    w.authorize(w.purpose("loan_finance"), at=EARLIER, cap_days=1, channels=Channel.VOICE)
    assert w.ruling(at=NOW) == "allow authorized"
    assert w.ruling(matter="spring-loan", at=NOW + timedelta(days=1)) == "block cap_reached"
