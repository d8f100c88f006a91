"""The verbs of subscribers: what each writes, ends and keeps, and when it is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from consents import actions, bulk
from consents.models import Authorization, Holding, LodgedRefusal, Preference, Refusal, Registration, Subscriber
from consents.terms import Ended, HoldingSource
from dncregistry.errors import CannotRule
from record.ledger import OPERATOR, Actor
from record.models import Number
from record.numbers import PhoneNumber
from record.terms import ActorKind, Verb
from telemarketers.actions import firms
from telemarketers.models import Firm, Wording
from telemarketers.terms import ALL_CHANNELS, Channel
from tests import world
from tests.record.test_ledger import (
    Act,
    Case,
    changes_nothing_without_its_event,
    everything,
    refused,
    untraced,
    verbs_of,
    written_by,
)
from tests.world import ALICE, BOB, NOW, START, SUBSCRIBER, World

LATER = NOW + timedelta(hours=1)
A_MOMENT = timedelta(microseconds=1)
SHANGHAI = ZoneInfo("Asia/Shanghai")
ALL = ALL_CHANNELS


def person(at: datetime = START) -> Subscriber:
    return actions.add_subscriber(by=OPERATOR, at=at)


def register(w: World, *codes: str, at: datetime = NOW, keep: Collection[int] = (), **more: Any) -> list[Registration]:
    purposes = [w.purpose(code) for code in codes]
    return actions.register(holding=w.hold(), purposes=purposes, keep=keep, by=SUBSCRIBER, at=at, **more)


def refuse(w: World, at: datetime = NOW) -> Refusal:
    return actions.refuse_firm(holding=w.hold(), firm=w.loans, by=SUBSCRIBER, at=at)


def prefer(w: World, at: datetime = NOW, **more: Any) -> Preference:
    wanted = {"weekday": (540, 600), "rest_day": None, "no_requests": False, **more}
    return actions.set_preference(holding=w.hold(), by=SUBSCRIBER, at=at, **wanted)


def revoke(*authorizations: Authorization, at: datetime = NOW) -> int:
    ids = [authorization.pk for authorization in authorizations]
    return actions.revoke(authorizations=Authorization.objects.filter(pk__in=ids), by=SUBSCRIBER, at=at)


def claim(number: PhoneNumber = ALICE, subscriber: Subscriber | None = None, at: datetime = NOW) -> Holding:
    return actions.claim(number=number, subscriber=subscriber or person(), by=SUBSCRIBER, at=at)


def hand_over(subscriber: Subscriber, *, keep: bool, at: datetime = NOW) -> Holding:
    return actions.hand_over(number=ALICE, subscriber=subscriber, keep_registration=keep, by=SUBSCRIBER, at=at)


def how_ended(authorization: Authorization) -> tuple[str, datetime]:
    authorization.refresh_from_db()
    return authorization.ended, authorization.ends


def in_force(at: datetime = NOW) -> list[Authorization]:
    return list(Authorization.objects.in_force(at))


def said_of(number: PhoneNumber = ALICE, at: datetime = NOW) -> set[tuple[str | None, int]]:
    """(purpose, channels) of the registrations in force."""
    holding = actions.holding_of(number, at)
    return set() if holding is None else set(holding.registrations.in_force(at).values_list("purpose", "channels"))


def a_full_holding(w: World) -> Holding:
    """Claimed by somebody who has said all that can be said."""
    holding = claim(at=START)
    w.authorize()
    actions.refuse_firm(holding=holding, firm=w.shop, by=SUBSCRIBER, at=START)
    register(w, "retail", at=START)
    prefer(w, START)
    return holding


def lodge(w: World, said_at: datetime = NOW, at: datetime = NOW, against: Firm | None = None) -> LodgedRefusal:
    return actions.lodge_refusal(
        number=ALICE,
        firm=w.loans,
        against=against or w.loans,
        said_at=said_at,
        by=Actor(ActorKind.FIRM, w.loans.pk),
        at=at,
    )


def after(_said: object, act: Act) -> Act:
    """An act prepared for by what was said before it."""
    return act


CASES = {
    "hold": Case(lambda w: partial(w.hold, at=NOW), (Verb.HOLDING_OPENED,)),
    "add_subscriber": Case(lambda w: partial(person, NOW), (Verb.SUBSCRIBER_ADDED,)),
    "claim": Case(
        lambda w: partial(claim, ALICE, person()),
        (Verb.HOLDING_OPENED, Verb.HOLDING_CLAIMED),
    ),
    "hand_over": Case(
        lambda w: after(a_full_holding(w), partial(hand_over, person(), keep=True)),
        (
            Verb.AUTHORIZATION_ENDED,
            Verb.REGISTRATION_ENDED,
            Verb.REFUSAL_LIFTED,
            Verb.PREFERENCE_ENDED,
            Verb.HOLDING_ENDED,
            Verb.HOLDING_OPENED,
            Verb.REGISTERED,
        ),
    ),
    "register": Case(lambda w: after(w.authorize(), partial(register, w)), (Verb.AUTHORIZATION_ENDED, Verb.REGISTERED)),
    "leave": Case(
        lambda w: after(
            register(w, "retail", "travel", at=START),
            partial(actions.leave, holding=w.hold(), by=SUBSCRIBER, at=NOW),
        ),
        (Verb.REGISTRATION_ENDED, Verb.REGISTRATION_ENDED),
    ),
    "refuse_firm": Case(
        lambda w: after(w.authorize(), partial(refuse, w)), (Verb.AUTHORIZATION_ENDED, Verb.FIRM_REFUSED)
    ),
    "lodge_refusal": Case(
        lambda w: partial(lodge, w),
        (Verb.HOLDING_OPENED, Verb.FIRM_REFUSED, Verb.REFUSAL_LODGED),
    ),
    "set_preference": Case(
        lambda w: after(prefer(w, START), partial(prefer, w, no_requests=True)),
        (Verb.PREFERENCE_ENDED, Verb.PREFERENCE_SET),
    ),
    "authorize": Case(
        lambda w: after(w.authorize(), partial(w.authorize, at=NOW)), (Verb.AUTHORIZATION_ENDED, Verb.AUTHORIZED)
    ),
    "revoke": Case(lambda w: partial(revoke, w.authorize()), (Verb.AUTHORIZATION_ENDED,)),
}


def test_every_verb_has_its_case() -> None:
    assert set(CASES) == verbs_of(actions)


@pytest.mark.parametrize("verb", CASES)
def test_a_verb_writes_its_events_and_they_show_its_rows(w: World, verb: str) -> None:
    act = CASES[verb].ready(w)
    events = written_by(act)
    assert tuple(event.verb for event in events) == CASES[verb].writes
    assert {event.at for event in events} == {NOW}
    assert untraced() == []


@pytest.mark.parametrize("verb", CASES)
def test_a_verb_that_cannot_write_its_event_changes_nothing(w: World, verb: str) -> None:
    changes_nothing_without_its_event(CASES[verb].ready(w))


REPEATABLE = ["hold", "claim", "register", "refuse_firm", "set_preference", "revoke"]


@pytest.mark.parametrize("verb", REPEATABLE)
def test_saying_the_same_again_changes_nothing_and_writes_nothing(w: World, verb: str) -> None:
    act = CASES[verb].ready(w)
    act()
    after = everything()
    act()
    assert everything() == after


def test_who_acts_is_in_the_event(w: World) -> None:
    (event,) = written_by(partial(register, w, "retail"))[-1:]
    assert (event.actor_kind, event.actor_id) == (ActorKind.SUBSCRIBER, 1)


# --- numbers and who holds them ----------------------------------------------------------------------


def test_a_number_never_mentioned_has_no_holding(w: World) -> None:
    assert actions.holding_of(ALICE, NOW) is None
    assert not Number.objects.exists()


def test_a_holding_begins_unclaimed_with_its_source(w: World) -> None:
    holding = actions.hold(number=ALICE, source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)
    assert (holding.subscriber, holding.source, holding.starts, holding.ends) == (None, "import", NOW, None)


def test_a_number_is_one_however_often_it_is_mentioned(w: World) -> None:
    assert w.hold(ALICE).number == w.hold(ALICE, LATER).number != w.hold(BOB).number


def test_a_number_that_an_older_key_wrote_is_found(w: World, rotate_number_key: Callable[[], None]) -> None:
    holding = w.hold(ALICE)
    rotate_number_key()
    assert w.hold(ALICE) == holding
    assert w.hold(BOB).number.key == 2


def test_an_import_finds_a_number_that_an_older_key_wrote(w: World, rotate_number_key: Callable[[], None]) -> None:
    w.hold(ALICE)
    rotate_number_key()
    bulk.register_all([ALICE], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)
    assert Number.objects.count() == Holding.objects.count() == 1


def test_an_import_of_all_marketing_covers_every_channel(w: World) -> None:
    """A number registered for SMS alone is not yet on the list for calls."""
    register(w, channels=Channel.SMS, at=START)
    bulk.register_all([ALICE], source=HoldingSource.IMPORT, by=OPERATOR, at=NOW)
    assert said_of() == {(None, int(ALL))}


def test_proof_claims_an_unclaimed_holding_with_all_that_was_said(w: World) -> None:
    register(w, "retail", at=START)
    holding, somebody = w.hold(), person()
    assert claim(subscriber=somebody) == holding
    assert Holding.objects.get().subscriber == somebody
    assert said_of() == {("retail", int(ALL))}


def test_what_somebody_else_holds_is_not_claimed(w: World) -> None:
    claim(at=START)
    other = person()
    with refused("held_by_another"):
        claim(subscriber=other)


# --- handing over ------------------------------------------------------------------------------------


def test_a_number_that_nobody_holds_is_claimed(w: World) -> None:
    somebody = person()
    assert hand_over(somebody, keep=True).subscriber == somebody
    assert Holding.objects.count() == 1


def test_what_the_former_holder_said_ends_with_the_holding(w: World) -> None:
    former = a_full_holding(w)
    given = Authorization.objects.get()
    hand_over(person(), keep=False)
    former.refresh_from_db()
    assert former.ends == NOW
    assert how_ended(given) == (Ended.HOLDING, NOW)
    for said in (former.registrations, former.refusals, former.preferences):
        assert [row.ends for row in said.all()] == [NOW]


def test_without_the_registration_the_new_holder_begins_with_nothing(w: World) -> None:
    a_full_holding(w)
    new = hand_over(person(), keep=False)
    assert actions.holding_of(ALICE, NOW) == new
    assert said_of() == set()
    assert not new.refusals.exists()
    assert not new.preferences.exists()
    assert in_force() == []


def test_the_registration_is_kept_with_its_purposes_and_channels_and_nothing_else_is(w: World) -> None:
    a_full_holding(w)
    register(w, "travel", channels=Channel.SMS, at=START)
    new = hand_over(person(), keep=True)
    assert said_of() == {("retail", int(ALL)), ("travel", int(Channel.SMS))}
    assert set(new.registrations.values_list("starts", flat=True)) == {NOW}
    assert not new.refusals.exists()
    assert in_force() == []


def test_the_number_is_blocked_without_a_break_where_the_registration_is_kept(w: World) -> None:
    register(w, "retail", at=START)
    claim(at=START)
    hand_over(person(), keep=True)
    assert w.ask_shop(at=NOW - A_MOMENT) == w.ask_shop(at=NOW) == "block registered"


def test_the_past_stays_the_former_holders(w: World) -> None:
    former = a_full_holding(w)
    hand_over(person(), keep=True)
    assert actions.holding_of(ALICE, NOW - A_MOMENT) == former


# --- registering -------------------------------------------------------------------------------------


def test_all_marketing_on_all_channels_unless_said_otherwise(w: World) -> None:
    register(w)
    assert said_of() == {(None, int(ALL))}


def test_a_refusal_of_voice_includes_robocalls(w: World) -> None:
    register(w, channels=Channel.VOICE)
    assert said_of() == {(None, int(Channel.VOICE | Channel.ROBOCALL))}


def test_a_refusal_of_robocalls_leaves_voice(w: World) -> None:
    register(w, channels=Channel.ROBOCALL)
    assert said_of() == {(None, int(Channel.ROBOCALL))}


def test_registering_widens_the_channels(w: World) -> None:
    register(w, "retail", channels=Channel.SMS, at=START)
    events = written_by(partial(register, w, "retail", channels=Channel.VOICE))
    assert [event.verb for event in events] == ["registration.ended", "registration.made"]
    assert said_of() == {("retail", int(ALL))}


@pytest.mark.parametrize("fewer", [Channel.VOICE, Channel.ROBOCALL, Channel.SMS])
def test_registering_for_fewer_channels_never_narrows(w: World, fewer: Channel) -> None:
    register(w, "retail", at=START)
    assert written_by(partial(register, w, "retail", channels=fewer)) == []
    assert said_of() == {("retail", int(ALL))}


def test_registering_one_purpose_leaves_the_registration_of_all(w: World) -> None:
    register(w, at=START)
    register(w, "retail", channels=Channel.SMS)
    assert (None, int(ALL)) in said_of()


def test_registering_all_leaves_the_registration_of_one(w: World) -> None:
    register(w, "retail", at=START)
    register(w)
    assert said_of() == {("retail", int(ALL)), (None, int(ALL))}


def test_each_purpose_is_registered_once(w: World) -> None:
    assert len(register(w, "retail", "travel")) == 2
    assert said_of() == {("retail", int(ALL)), ("travel", int(ALL))}


def test_no_channel_is_refused(w: World) -> None:
    w.hold()
    with refused("no_channel", field="channels"):
        register(w, channels=Channel(0))


def test_service_messages_cannot_be_refused(w: World) -> None:
    w.hold()
    with refused("not_marketing", field="purposes"):
        register(w, "retail", "verification")


def test_registering_ends_what_it_contradicts(w: World) -> None:
    given = w.authorize()
    register(w)
    assert how_ended(given) == (Ended.REGISTERED, NOW)


def test_registering_keeps_what_the_citizen_ticks(w: World) -> None:
    kept, ended = w.authorize(), w.authorize(w.purpose("loan_finance"))
    register(w, keep=[kept.pk])
    assert in_force() == [kept]
    assert how_ended(ended) == (Ended.REGISTERED, NOW)


def test_a_kept_authorization_beats_the_registration(w: World) -> None:
    kept = w.authorize()
    register(w, keep=[kept.pk])
    assert w.ruling(matter=w.offer.code) == "allow authorized"


@pytest.mark.parametrize(
    ("given", "registered", "ends"),
    [
        pytest.param(Channel.VOICE, Channel.VOICE, True, id="voice-by-voice"),
        pytest.param(Channel.ROBOCALL, Channel.VOICE, True, id="robocall-by-voice"),
        pytest.param(Channel.VOICE, Channel.ROBOCALL, False, id="voice-not-by-robocall"),
        pytest.param(Channel.SMS, Channel.VOICE, False, id="sms-not-by-voice"),
        pytest.param(Channel.VOICE | Channel.SMS, Channel.SMS, True, id="partly"),
        pytest.param(ALL, Channel.ROBOCALL, True, id="all-by-any"),
    ],
)
def test_a_registration_contradicts_what_shares_a_channel(
    w: World, given: Channel, registered: Channel, ends: bool
) -> None:
    w.authorize(channels=given)
    register(w, channels=registered)
    assert in_force() == [] if ends else len(in_force()) == 1


def test_a_registration_of_one_purpose_contradicts_only_that(w: World) -> None:
    given = w.authorize()
    register(w, "retail", "travel")
    assert in_force() == [given]
    register(w, "loan_finance")
    assert in_force() == []


def test_what_would_end_can_be_listed_beforehand(w: World) -> None:
    given = w.authorize()
    before = everything()
    assert list(actions.contradicted(w.hold(), [], ALL, NOW)) == [given]
    assert everything() == before


def test_registering_again_ends_what_was_authorized_since(w: World) -> None:
    register(w, at=START)
    w.authorize(at=NOW)
    register(w, at=LATER)
    assert in_force(LATER) == []


def test_what_others_hold_goes_on(w: World) -> None:
    bobs = w.authorize(number=BOB)
    register(w)
    assert in_force() == [bobs]


# --- leaving -----------------------------------------------------------------------------------------


def test_leaving_ends_every_registration(w: World) -> None:
    register(w, at=START)
    register(w, "retail", channels=Channel.SMS, at=START)
    actions.leave(holding=w.hold(), by=SUBSCRIBER, at=NOW)
    assert said_of() == set()
    assert w.ask_shop(at=NOW) == "allow not_registered"


def test_a_number_that_is_not_on_the_list_does_not_leave_it(w: World) -> None:
    holding = w.hold()
    with refused("not_registered"):
        actions.leave(holding=holding, by=SUBSCRIBER, at=NOW)


def test_leaving_gives_back_no_authorization(w: World) -> None:
    w.authorize()
    register(w, at=START + timedelta(hours=1))
    actions.leave(holding=w.hold(), by=SUBSCRIBER, at=NOW)
    assert in_force() == []


# --- refusing a firm ---------------------------------------------------------------------------------


def test_refusing_a_firm_ends_all_its_authorizations_and_nobody_elses(w: World) -> None:
    narrow, wide = w.authorize(), w.authorize(w.purpose("loan_finance"))
    other = w.authorize(w.purpose("retail"), firm=w.shop)
    refuse(w)
    assert how_ended(narrow) == how_ended(wide) == (Ended.REFUSED, NOW)
    assert in_force() == [other]


def test_refusing_again_ends_what_stands_beside_the_refusal(w: World) -> None:
    """It cannot come about by our verbs; a refusal is obeyed all the same."""
    first = refuse(w, START)
    Authorization.objects.bulk_create(
        [Authorization(holding=w.hold(), firm=w.loans, purpose_id="loan_finance", channels=1, starts=START, ends=LATER)]
    )
    assert refuse(w) == first
    assert in_force() == []


def test_an_agent_is_refused_with_its_client(w: World) -> None:
    mandate = firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=START)
    firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=START)
    w.authorize()
    refuse(w)
    credential, _key = world.issue(w.centre, START)
    ruling = w.ruling(
        credential=credential, caller=world.CENTRE_LINE, on_behalf_of=w.loans.credit_code, matter=w.offer.code
    )
    assert ruling == "block authorization_revoked"


def test_a_lodged_refusal_ends_what_the_firm_was_authorized_to_and_blocks_it(w: World) -> None:
    w.authorize()
    lodge(w, said_at=NOW - timedelta(days=2))
    assert in_force() == []
    assert w.ruling(matter="spring-loan", at=LATER) == "block authorization_revoked"
    assert w.hold().refusals.in_force(NOW).get().starts == NOW  # no verb takes a past instant


def test_a_lodged_refusal_opens_a_holding_that_nobody_has_claimed(w: World) -> None:
    lodged = lodge(w)
    assert (lodged.holding.source, lodged.holding.subscriber) == (HoldingSource.FIRM, None)


def test_each_time_that_stop_was_said_is_kept(w: World) -> None:
    before = actions.refuse_firm(holding=w.hold(), firm=w.loans, by=SUBSCRIBER, at=START)
    said = [NOW - timedelta(days=1), NOW]
    assert [lodge(w, said_at=instant).said_at for instant in said] == said
    assert list(Refusal.objects.all()) == [before]


def test_a_firms_clock_may_run_ahead_a_little(w: World) -> None:
    assert lodge(w, said_at=NOW + timedelta(seconds=60)).said_at == NOW
    with refused("said_at_ahead", field="said_at"):
        lodge(w, said_at=NOW + timedelta(seconds=60) + A_MOMENT)


def test_a_refusal_is_lodged_within_thirty_days(w: World) -> None:
    assert lodge(w, said_at=NOW - timedelta(days=30)).said_at == NOW - timedelta(days=30)
    with refused("said_at_too_old", field="said_at"):
        lodge(w, said_at=NOW - timedelta(days=30) - A_MOMENT)


def test_a_number_handed_over_at_the_very_moment_is_nothing_for_a_firm_to_learn(w: World) -> None:
    w.hold()
    person = actions.add_subscriber(by=SUBSCRIBER, at=NOW)
    actions.hand_over(number=ALICE, subscriber=person, keep_registration=True, by=SUBSCRIBER, at=NOW)
    before = everything()
    with pytest.raises(CannotRule):
        lodge(w, said_at=NOW - A_MOMENT, at=NOW - A_MOMENT)
    assert everything() == before
    assert lodge(w).holding.subscriber == person


# --- preferring --------------------------------------------------------------------------------------


def test_a_preference_takes_the_place_of_the_one_before(w: World) -> None:
    first = prefer(w, START)
    second = prefer(w, weekday=None, rest_day=(1320, 420), no_requests=True)
    first.refresh_from_db()
    assert first.ends == NOW
    assert list(Preference.objects.in_force(NOW)) == [second]
    assert (second.weekday_from, second.rest_day_from, second.rest_day_until) == (None, 1320, 420)


def test_midnight_is_a_preference_too(w: World) -> None:
    """0 is an hour, not the lack of one."""
    preference = prefer(w, weekday=(0, 0), rest_day=(0, 1440))
    assert (preference.weekday_from, preference.weekday_until, preference.rest_day_from) == (0, 0, 0)


@pytest.mark.parametrize("block", [(1440, 600), (540, 1441), (-1, 600), (540, -1)])
def test_hours_that_no_day_has_are_refused_not_failed(w: World, block: tuple[int, int]) -> None:
    w.hold()
    with refused("bad_hours", field="weekday"):
        prefer(w, weekday=block)


# --- authorizing -------------------------------------------------------------------------------------


def test_an_authorization_is_for_one_firm_matter_and_its_purpose(w: World) -> None:
    given = w.authorize(channels=Channel.VOICE | Channel.SMS, cap_days=2)
    assert (given.firm, given.matter, given.purpose_id) == (w.loans, w.offer, "loan_finance")
    assert (given.channels, given.cap_days, given.ended) == (5, 2, "")


def test_a_wider_one_is_for_the_purpose_and_pinned_to_no_wording(w: World) -> None:
    given = w.authorize(w.purpose("loan_finance"))
    assert (given.matter, given.wording, given.purpose_id) == (None, None, "loan_finance")


def test_it_is_pinned_to_the_wording_as_it_stands(w: World) -> None:
    before = w.authorize(at=START)
    latest = Wording.objects.create(matter=w.offer, version=2, text="更正", at=NOW)
    assert w.authorize(number=BOB, at=NOW).wording == latest
    before.refresh_from_db()
    assert before.wording is not None
    assert before.wording.version == 1


def local(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=SHANGHAI)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("at", "months", "ends"),
    [
        pytest.param(local(2026, 1, 7, 10), None, local(2026, 7, 7), id="six-unless-said-otherwise"),
        pytest.param(local(2026, 8, 31, 10), 6, local(2027, 2, 28), id="31-august-and-six"),
        pytest.param(local(2027, 8, 31, 10), 6, local(2028, 2, 29), id="31-august-and-six-to-a-leap-year"),
        pytest.param(local(2026, 1, 31, 10), 1, local(2026, 2, 28), id="the-shortest"),
        pytest.param(local(2026, 1, 7, 23, 59), 24, local(2028, 1, 7), id="the-longest"),
        pytest.param(local(2026, 3, 1, 0, 30), 1, local(2026, 4, 1), id="still-yesterday-in-utc"),
    ],
)
def test_it_lasts_calendar_months_to_the_local_midnight(
    w: World, at: datetime, months: int | None, ends: datetime
) -> None:
    given = w.authorize(at=at, months=months)
    given.refresh_from_db()
    assert (given.starts, given.ends) == (at, ends)
    assert in_force(ends - A_MOMENT) == [given]
    assert in_force(ends) == []


@pytest.mark.parametrize("months", [0, -1, 25])
def test_a_term_that_the_policy_does_not_know_is_refused(w: World, months: int) -> None:
    w.hold()
    with refused("bad_term", field="months"):
        w.authorize(months=months)


def test_no_channel_is_authorized(w: World) -> None:
    w.hold()
    with refused("no_channel", field="channels"):
        w.authorize(channels=Channel(0))


@pytest.mark.parametrize("what", ["purpose", "matter"])
def test_service_messages_need_no_authorization(w: World, what: str) -> None:
    w.hold()
    with refused("not_marketing", field="purpose"):
        w.authorize(w.purpose("verification") if what == "purpose" else w.codes)


def test_another_firms_matter_is_unknown(w: World) -> None:
    w.hold()
    with refused("unknown_matter", field="matter"):
        w.authorize(w.offer, firm=w.shop)


def test_a_matter_not_yet_approved_is_unknown(w: World) -> None:
    w.hold()
    waiting = firms.submit_matter(
        firm=w.loans,
        code="later",
        purpose=w.purpose("loan_finance"),
        title="",
        wording="您好",
        by=OPERATOR,
        at=START,
    )
    with refused("unknown_matter", field="matter"):
        w.authorize(waiting, at=NOW)


def test_a_withdrawn_matter_is_unknown(w: World) -> None:
    w.hold()
    firms.withdraw_matter(matter=w.offer, by=OPERATOR, at=NOW)
    with refused("unknown_matter", field="matter"):
        w.authorize(at=NOW)


def test_without_a_policy_nobody_is_authorized(w: World) -> None:
    before_all = START - timedelta(days=1)
    w.hold(at=before_all)
    with refused("no_policy"):
        w.authorize(w.purpose("loan_finance"), at=before_all)


def test_it_takes_the_place_of_an_earlier_one_for_the_same(w: World) -> None:
    first = w.authorize()
    second = w.authorize(at=NOW, months=1)
    assert how_ended(first) == (Ended.REPLACED, NOW)
    assert in_force() == [second]


def test_one_for_a_matter_leaves_that_for_its_purpose(w: World) -> None:
    wide, narrow = w.authorize(w.purpose("loan_finance")), w.authorize()
    assert set(in_force()) == {wide, narrow}


def test_one_for_a_matter_leaves_that_for_another(w: World) -> None:
    autumn = world.matter(w.loans, "autumn-loan", "loan_finance", START)
    spring, other = w.authorize(), w.authorize(autumn)
    assert set(in_force()) == {spring, other}


def test_twice_in_one_instant_the_second_counts(w: World) -> None:
    first, second = w.authorize(), w.authorize()
    assert how_ended(first) == (Ended.REPLACED, START)
    assert in_force() == [second]


def test_authorizing_lifts_a_refusal_of_the_firm_and_of_no_other(w: World) -> None:
    refuse(w, START)
    actions.refuse_firm(holding=w.hold(), firm=w.shop, by=SUBSCRIBER, at=START)
    w.authorize(at=NOW)
    assert [refusal.firm for refusal in Refusal.objects.in_force(NOW)] == [w.shop]
    assert w.ruling(matter=w.offer.code) == "allow authorized"


def test_an_authorization_beside_a_registration_beats_it(w: World) -> None:
    register(w, at=START)
    w.authorize(at=NOW)
    assert w.ruling(matter=w.offer.code) == "allow authorized"


# --- revoking ----------------------------------------------------------------------------------------


def test_a_revocation_is_obeyed_by_the_very_next_check(w: World) -> None:
    given = w.authorize()
    assert w.ruling(matter=w.offer.code, at=NOW) == "allow authorized"
    assert revoke(given) == 1
    assert w.ruling(matter=w.offer.code, at=NOW) == "block authorization_revoked"


def test_what_is_revoked_says_so(w: World) -> None:
    given = w.authorize()
    revoke(given)
    assert how_ended(given) == (Ended.REVOKED, NOW)


def test_several_are_revoked_at_once_each_with_its_event(w: World) -> None:
    given = [w.authorize(), w.authorize(w.purpose("loan_finance")), w.authorize(number=BOB)]
    assert len(written_by(partial(revoke, *given))) == 3
    assert in_force() == []


def test_what_has_expired_is_not_revoked(w: World) -> None:
    given = w.authorize(months=1)
    expired = given.ends
    assert revoke(given, at=expired) == 0
    assert how_ended(given) == ("", expired)


def test_what_ended_otherwise_keeps_how(w: World) -> None:
    given = w.authorize()
    register(w)
    assert revoke(given, at=LATER) == 0
    assert how_ended(given) == (Ended.REGISTERED, NOW)


# --- a holding that has ended --------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["register", "refuse_firm", "set_preference", "authorize"])
def test_nothing_can_be_said_for_a_holding_that_has_ended(w: World, verb: str) -> None:
    """A page opened before the number had a new holder must not be told “done” (law 2): nobody would obey it."""
    former = claim(at=START)
    hand_over(person(), keep=False)
    say: dict[str, Any] = {
        "register": partial(actions.register),
        "refuse_firm": partial(actions.refuse_firm, firm=w.loans),
        "set_preference": partial(actions.set_preference, weekday=None, rest_day=None, no_requests=True),
        "authorize": partial(actions.authorize, firm=w.loans, about=w.offer, channels=Channel.VOICE),
    }
    with refused("holding_ended"):
        say[verb](holding=former, by=SUBSCRIBER, at=LATER)
