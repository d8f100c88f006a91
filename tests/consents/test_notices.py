"""What citizens are told about their authorizations: when, in which words, and when it is no longer told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import translation

from consents import actions, notices
from consents.models import Authorization
from record.gateway import NotSent
from record.models import Notice, Number
from record.notices import Message
from record.terms import NoticeKind, Trouble
from tests.world import ALICE, NOW, START, SUBSCRIBER, World

GRANTED = NoticeKind.AUTHORIZATION_GRANTED
ENDING = NoticeKind.AUTHORIZATION_ENDING
ENDED = NoticeKind.AUTHORIZATION_ENDED


@pytest.fixture
def given(w: World) -> Authorization:
    """By a person who has proved the number."""
    person = actions.add_subscriber(by=SUBSCRIBER, at=START)
    actions.claim(number=ALICE, subscriber=person, by=SUBSCRIBER, at=START)
    return w.authorize(at=START)


def told(kind: NoticeKind, authorization: Authorization, at: datetime) -> Message | None:
    return notices.COMPOSE[kind](str(authorization.pk), at)


def when(kind: NoticeKind, authorization: Authorization) -> datetime:
    return Notice.objects.get(kind=kind, about_kind="authorization", about_id=authorization.pk).due_at


# --- owing -------------------------------------------------------------------------------------------


def test_an_authorization_owes_three_notices(given: Authorization) -> None:
    assert when(GRANTED, given) == given.starts
    assert when(ENDING, given) == given.ends - timedelta(days=7)
    assert when(ENDED, given) == given.ends
    assert Notice.objects.count() == 3


def test_one_that_waited_for_another_act_is_told_of_when_it_began(given: Authorization, w: World) -> None:
    actions.register(holding=given.holding, by=SUBSCRIBER, at=NOW)
    later = w.authorize(at=START + timedelta(minutes=1))
    assert when(GRANTED, later) == later.starts == NOW


def test_a_refused_authorization_owes_nothing(w: World) -> None:
    with pytest.raises(Exception, match="bad_term"):
        w.authorize(months=99)
    assert not Notice.objects.exists()


# --- composing ---------------------------------------------------------------------------------------


def test_the_message_names_firm_matter_and_last_day(given: Authorization) -> None:
    assert told(GRANTED, given, NOW) == Message(
        ALICE,
        "authorization_granted",
        {"firm": "示范贷款有限公司", "about": "spring-loan", "last_day": "2026-07-06"},
        "zh-hans",
    )


def test_one_for_a_purpose_names_the_purpose_in_the_citizens_language(given: Authorization, w: World) -> None:
    wide = w.authorize(w.purpose("loan_finance"), at=START)
    with translation.override("en"):
        message = told(GRANTED, wide, NOW)
    assert message is not None
    assert message.params["about"] == "贷款理财"


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_text_can_be_filled(given: Authorization, kind: NoticeKind, language: str) -> None:
    message = told(kind, given, given.ends if kind == ENDED else NOW)
    assert message is not None
    with translation.override(language):
        text = str(notices.TEXTS[message.template]).format(**message.params)
    assert all(value in text for value in message.params.values())


def test_every_kind_is_composed() -> None:
    assert set(notices.COMPOSE) == set(notices.TEXTS) == set(NoticeKind)


MOMENT = timedelta(microseconds=1)

WhatHappens = Callable[[Authorization, World], object]


def nothing(given: Authorization, w: World) -> None: ...


def revoked(given: Authorization, w: World) -> object:
    mine = Authorization.objects.filter(pk=given.pk)
    return actions.revoke(authorizations=mine, by=SUBSCRIBER, at=NOW - MOMENT)


def registered(given: Authorization, w: World) -> object:
    return actions.register(holding=given.holding, by=SUBSCRIBER, at=NOW - MOMENT)


def granted_again(given: Authorization, w: World) -> object:
    return w.authorize(at=NOW - MOMENT)


def handed_over(given: Authorization, w: World) -> object:
    person = actions.add_subscriber(by=SUBSCRIBER, at=NOW)
    return actions.hand_over(number=ALICE, subscriber=person, keep_registration=True, by=SUBSCRIBER, at=NOW - MOMENT)


@pytest.mark.parametrize("happens", [revoked, registered, granted_again, handed_over])
@pytest.mark.parametrize("kind", NoticeKind)
def test_what_was_ended_early_is_told_no_more(
    given: Authorization, w: World, kind: NoticeKind, happens: WhatHappens
) -> None:
    happens(given, w)
    assert told(kind, given, NOW) is None
    assert told(kind, given, when(ENDED, given)) is None


def test_the_end_is_told_when_it_has_come_and_no_sooner(given: Authorization) -> None:
    assert told(ENDED, given, given.ends - MOMENT) is None
    assert told(ENDED, given, given.ends) is not None


@pytest.mark.parametrize("kind", [GRANTED, ENDING])
def test_what_comes_too_late_is_not_told(given: Authorization, kind: NoticeKind) -> None:
    assert told(kind, given, given.ends - MOMENT) is not None
    assert told(kind, given, given.ends) is None


@pytest.mark.parametrize("kind", NoticeKind)
def test_nobody_is_told_about_a_number_that_nobody_proved(w: World, kind: NoticeKind) -> None:
    unclaimed = w.authorize(at=START)
    assert told(kind, unclaimed, unclaimed.ends if kind == ENDED else NOW) is None


def test_a_new_holder_is_not_told_of_the_former_ones_permission(given: Authorization) -> None:
    """It expired; before anybody was told, the number changed hands."""
    person = actions.add_subscriber(by=SUBSCRIBER, at=given.ends)
    actions.hand_over(number=ALICE, subscriber=person, keep_registration=True, by=SUBSCRIBER, at=given.ends)
    assert told(ENDED, given, given.ends + MOMENT) is None


def test_a_number_that_no_key_reads_is_tried_again(given: Authorization) -> None:
    Number.objects.update(key=99)
    with pytest.raises(NotSent) as failed:
        told(GRANTED, given, NOW)
    assert (failed.value.trouble, failed.value.for_good) == (Trouble.UNREADABLE, False)


# --- who authorized before there were notices ------------------------------------------------------------


def owe_by_migration() -> None:
    migration = import_module("consents.migrations.0007_notices_of_authorizations")
    migration.owe(apps, None)


def test_who_authorized_before_there_were_notices_is_told_of_the_end(w: World) -> None:
    now = datetime.now(tz=START.tzinfo)
    _expired, in_force = w.authorize(at=START, months=1), w.authorize(at=now)
    Notice.objects.all().delete()

    owe_by_migration()
    owe_by_migration()

    owed = dict(Notice.objects.values_list("kind", "due_at"))
    assert owed == {ENDING: in_force.ends - timedelta(days=7), ENDED: in_force.ends}
    assert set(Notice.objects.values_list("about_kind", "about_id")) == {("authorization", str(in_force.pk))}


def test_the_migration_and_the_verb_agree(w: World) -> None:
    """The one cannot import the other's present words, so a test holds them together."""
    now = datetime.now(tz=START.tzinfo)
    w.authorize(at=now)
    by_verb = {
        (owed.kind, owed.about_kind, owed.about_id, owed.due_at) for owed in Notice.objects.exclude(kind=GRANTED)
    }
    Notice.objects.all().delete()
    owe_by_migration()
    assert {(owed.kind, owed.about_kind, owed.about_id, owed.due_at) for owed in Notice.objects.all()} == by_verb
