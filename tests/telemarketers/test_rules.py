"""The verbs of the regulator: purposes, policies with their notice, and sanctions that two people decide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from dncregistry.errors import Refused
from record.ledger import OPERATOR
from record.terms import ActorKind, Verb
from telemarketers import shipped
from telemarketers.actions import rules
from telemarketers.models import Policy, Purpose, Sanction
from telemarketers.policy import NOTICE_OF_WEAKENING
from telemarketers.terms import PurposeKind, Step
from tests.record.test_ledger import (
    Case,
    changes_nothing_without_its_event,
    everything,
    refused,
    untraced,
    verbs_of,
    written_by,
)
from tests.world import LOANS_LINE, NOW, SHOP_LINE, START, World

LATER = NOW + timedelta(hours=1)


def add(w: World, code: str = "lottery") -> Purpose:
    return rules.add_purpose(
        code=code, kind=PurposeKind.MARKETING, name_zh="彩票", name_en="Lottery", by=OPERATOR, at=NOW
    )


def publish(w: World, *, starts: datetime = LATER, version: str = "china-2", **changes: Any) -> Policy:
    document = {**shipped.policy("china"), **changes}
    return rules.publish_policy(version=version, document=document, starts=starts, by=OPERATOR, at=NOW)


def propose(w: World, **more: Any) -> Sanction:
    target: dict[str, Any] = {} if {"caller", "caller_range", "firm"} & set(more) else {"firm": w.loans}
    why = {"reason": "240小时内六人投诉", "rule": "第十条", "remedy": "停止外呼并整改"}
    return rules.propose_sanction(**{**why, **target, "step": Step.SUSPENSION, "by": w.staff, "at": NOW, **more})


def decided(w: World, **more: Any) -> Sanction:
    sanction = propose(w, **more)
    rules.approve_sanction(sanction=sanction, by=w.other_staff, at=NOW)
    return sanction


CASES = {
    "add_purpose": Case(lambda w: partial(add, w), (Verb.PURPOSE_ADDED,)),
    "add_missing_purposes": Case(
        lambda w: partial(
            rules.add_missing_purposes,
            [
                *shipped.purposes(),
                {"code": "lottery", "kind": "marketing", "name_zh": "彩票", "name_en": "Lottery"},
            ],
            by=OPERATOR,
            at=NOW,
        ),
        (Verb.PURPOSE_ADDED,),
    ),
    "publish_policy": Case(lambda w: partial(publish, w), (Verb.POLICY_PUBLISHED,)),
    "propose_sanction": Case(lambda w: partial(propose, w), (Verb.SANCTION_PROPOSED,)),
    "approve_sanction": Case(
        lambda w: partial(rules.approve_sanction, sanction=propose(w), by=w.other_staff, at=NOW),
        (Verb.SANCTION_APPROVED,),
    ),
    "lift_sanction": Case(
        lambda w: partial(rules.lift_sanction, sanction=decided(w), by=w.staff, at=NOW), (Verb.SANCTION_LIFTED,)
    ),
}


def test_every_verb_has_its_case() -> None:
    assert set(CASES) == verbs_of(rules)


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


# --- purposes ----------------------------------------------------------------------------------------


def test_a_purpose_is_added_once(w: World) -> None:
    with refused("purpose_exists", field="code"):
        add(w, "retail")


def test_adding_what_is_there_changes_nothing(w: World) -> None:
    before = everything()
    rules.add_missing_purposes(shipped.purposes(), by=OPERATOR, at=NOW)
    assert everything() == before


# --- policies ----------------------------------------------------------------------------------------


def test_an_equal_policy_may_begin_at_once(w: World) -> None:
    policy = publish(w, starts=NOW)
    assert Policy.objects.in_force(NOW).get() == policy
    assert Policy.objects.in_force(NOW - timedelta(microseconds=1)).get().version == "china-1"


def test_a_stronger_policy_needs_no_notice(w: World) -> None:
    assert publish(w, starts=NOW, cap_days=1).starts == NOW


def test_a_policy_does_not_begin_in_the_past(w: World) -> None:
    with refused("starts_in_the_past", field="starts"):
        publish(w, starts=NOW - timedelta(microseconds=1))


def test_a_version_is_published_once(w: World) -> None:
    with refused("version_exists", field="version"):
        publish(w, version="china-1")


def test_one_policy_waits_at_a_time(w: World) -> None:
    publish(w, starts=LATER)
    with refused("policy_waiting", field="starts"):
        publish(w, version="china-3", starts=LATER + timedelta(days=1))


def test_a_malformed_policy_is_refused_by_the_name_of_its_part(w: World) -> None:
    with refused("policy_malformed", field="hours"):
        publish(w, hours=[["12:00", "09:00"]])


def test_a_stance_is_on_a_purpose_that_there_is(w: World) -> None:
    with refused("stance_of_no_purpose", field="stances"):
        publish(w, stances={"lottery": "consent"})


def test_a_stance_is_not_on_a_service_purpose(w: World) -> None:
    with refused("stance_of_no_purpose", field="stances"):
        publish(w, stances={"verification": "consent"})


def test_weaker_rules_do_not_begin_a_moment_before_thirty_days(w: World) -> None:
    with refused("notice_too_short", field="starts"):
        publish(w, cap_days=4, starts=NOW + NOTICE_OF_WEAKENING - timedelta(microseconds=1))


def test_weaker_rules_may_begin_in_thirty_days(w: World) -> None:
    assert publish(w, cap_days=4, starts=NOW + timedelta(days=30)).published_at == NOW


def test_the_refusal_names_every_rule_that_weakens(w: World) -> None:
    with pytest.raises(Refused) as refusal:
        publish(w, cap_days=4, bar_months=1)
    assert "cap_days, bar_months" in str(refusal.value.detail)


def test_the_first_policy_of_all_may_begin_at_once(db: None) -> None:
    rules.add_missing_purposes(shipped.purposes(), by=OPERATOR, at=START)
    assert publish(None, starts=NOW, **shipped.policy("open_for_all")).starts == NOW  # type: ignore[arg-type]


def test_a_weakening_counts_against_the_rules_in_force_not_those_before(w: World) -> None:
    """Strict rules that were in force for an hour cannot be undone at once either."""
    publish(w, cap_days=1, starts=NOW)
    with refused("notice_too_short", field="starts"):
        publish(w, version="china-3", cap_days=3, starts=LATER)


# --- sanctions ---------------------------------------------------------------------------------------


def test_a_proposed_sanction_restricts_nobody(w: World) -> None:
    propose(w)
    assert not Sanction.objects.in_force(LATER).exists()


@pytest.mark.parametrize("missing", ["reason", "rule", "remedy"])
def test_a_sanction_says_why(w: World, missing: str) -> None:
    with refused("sanction_says_why"):
        propose(w, **{missing: ""})


@pytest.mark.parametrize(
    "targets",
    [
        pytest.param((), id="none"),
        pytest.param(("firm", "caller"), id="firm-and-number"),
        pytest.param(("firm", "caller_range"), id="firm-and-range"),
        pytest.param(("caller", "caller_range"), id="number-and-range"),
    ],
)
def test_a_sanction_has_one_target(w: World, targets: tuple[str, ...]) -> None:
    given = {"firm": w.loans, "caller": SHOP_LINE, "caller_range": "951"}
    with refused("one_target"):
        propose(w, **{"firm": None, **{name: given[name] for name in targets}})


def test_a_sanction_of_service_says_how_codes_arrive(w: World) -> None:
    with refused("codes_meanwhile", field="codes_meanwhile"):
        propose(w, covers_service=True)


@pytest.mark.parametrize("step", [Step.SUSPENSION, Step.BAR])
def test_two_people_decide(w: World, step: Step) -> None:
    sanction = propose(w, step=step)
    with refused("same_person"):
        rules.approve_sanction(sanction=sanction, by=w.staff, at=NOW)


def test_the_second_of_them_puts_it_in_force_at_once(w: World) -> None:
    (event,) = written_by(CASES["approve_sanction"].ready(w))
    assert (event.actor_kind, event.actor_id) == (ActorKind.STAFF, w.other_staff.pk)
    assert Sanction.objects.in_force(NOW).get().approved_by == w.other_staff


def test_a_sanction_is_approved_once(w: World) -> None:
    sanction = decided(w)
    with refused("not_waiting"):
        rules.approve_sanction(sanction=sanction, by=w.other_staff, at=LATER)


def test_a_proposal_that_was_dropped_cannot_be_approved(w: World) -> None:
    sanction = propose(w)
    rules.lift_sanction(sanction=sanction, by=w.staff, at=NOW)
    with refused("not_waiting"):
        rules.approve_sanction(sanction=sanction, by=w.other_staff, at=LATER)


def test_a_suspension_lasts_fifteen_days(w: World) -> None:
    assert decided(w).ends == NOW + timedelta(days=15)


def test_a_bar_lasts_a_year_to_the_local_midnight(w: World) -> None:
    # 7 January 2027, 00:00 in Shanghai: the last day included is 6 January.
    assert decided(w, step=Step.BAR).ends == datetime(2027, 1, 6, 16, tzinfo=UTC)


@pytest.mark.parametrize("step", [Step.REMINDER, Step.INTERVIEW, Step.RECTIFICATION])
def test_the_lower_steps_have_no_end(w: World, step: Step) -> None:
    assert decided(w, step=step).ends is None


def test_a_stopping_sanction_needs_a_policy(w: World) -> None:
    long_before = START - timedelta(days=1)
    sanction = propose(w, at=long_before)
    with refused("no_policy"):
        rules.approve_sanction(sanction=sanction, by=w.other_staff, at=long_before)


def test_a_brake_lasts_at_most_seventy_two_hours(w: World) -> None:
    """Design §4; two people may brake once more, but no longer."""
    ends = decided(w, step=Step.BRAKE, caller=LOANS_LINE).ends
    assert ends is not None
    assert ends <= NOW + timedelta(hours=72)


def test_a_brake_on_a_firm_is_refused_not_failed(w: World) -> None:
    with refused("brake_is_on_one_number", field="caller"):
        propose(w, step=Step.BRAKE)


def test_lifting_restores_at_once(w: World) -> None:
    sanction = decided(w)
    rules.lift_sanction(sanction=sanction, by=w.staff, at=LATER)
    assert not Sanction.objects.in_force(LATER).exists()
    assert Sanction.objects.in_force(LATER - timedelta(microseconds=1)).exists()


def test_a_sanction_is_lifted_once(w: World) -> None:
    sanction = decided(w)
    rules.lift_sanction(sanction=sanction, by=w.staff, at=LATER)
    with refused("already_ended"):
        rules.lift_sanction(sanction=sanction, by=w.staff, at=LATER)


def test_a_sanction_that_ran_out_is_not_lifted(w: World) -> None:
    sanction = decided(w)
    with refused("already_ended"):
        rules.lift_sanction(sanction=sanction, by=w.staff, at=NOW + timedelta(days=15))


def test_lifting_shows_what_another_has_approved_meanwhile(w: World) -> None:
    """Two people have the same proposal open: one approves it, the other drops it (law 4)."""
    sanction = propose(w)
    as_one_page_read_it = Sanction.objects.get(pk=sanction.pk)
    rules.approve_sanction(sanction=sanction, by=w.other_staff, at=NOW)
    rules.lift_sanction(sanction=as_one_page_read_it, by=w.staff, at=LATER)
    assert untraced() == []


def test_sql_cannot_make_one_person_of_the_two(w: World) -> None:
    sanction = decided(w)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE telemarketers_sanction SET proposed_by_id = approved_by_id WHERE id = %s", [sanction.pk])
