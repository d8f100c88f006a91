"""The verbs of firms: what each writes, when it is refused, and that nothing is left of what fails."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from stdnum.cn import uscc

from record.ledger import OPERATOR
from record.numbers import PhoneNumber, ServiceCode
from record.terms import ActorKind, Verb
from telemarketers import credentials
from telemarketers.actions import firms
from telemarketers.models import CallingNumber, Credential, Firm, Mandate, Matter
from telemarketers.terms import Mode, Scope
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
from tests.world import ALICE, LOANS_LINE, NOW, START, World

LATER = NOW + timedelta(hours=1)
NEW_LINE = PhoneNumber("+861065520000")


def credit_code(body: str = "91440300MA5000001") -> str:
    return body + uscc.calc_check_digit(body)


def enter(w: World, **more: Any) -> Firm:
    return firms.register_firm(**{"credit_code": credit_code(), "name": "新公司", "by": OPERATOR, "at": NOW, **more})


def propose(w: World, at: datetime = NOW) -> Mandate:
    return firms.propose_mandate(agent=w.centre, client=w.loans, by=OPERATOR, at=at)


def confirmed(w: World) -> Mandate:
    mandate = propose(w, START)
    firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=START)
    return mandate


def submit(w: World, **more: Any) -> Matter:
    given = {"code": "autumn-loan", "purpose": w.purpose("loan_finance"), "title": "秋季", "wording": "您好", **more}
    return firms.submit_matter(firm=w.loans, by=OPERATOR, at=NOW, **given)


def add_line(w: World, number: PhoneNumber | ServiceCode = NEW_LINE, at: datetime = NOW) -> CallingNumber:
    return firms.add_calling_number(firm=w.loans, number=number, display_name="", by=OPERATOR, at=at)


def submit_line(w: World, firm: Firm | None = None, at: datetime = NOW) -> CallingNumber:
    return firms.submit_calling_number(firm=firm or w.loans, number=NEW_LINE, display_name="", by=OPERATOR, at=at)


def issue(w: World, mode: Mode = Mode.LIVE) -> tuple[Credential, str]:
    return firms.issue_credential(firm=w.loans, mode=mode, scopes=[Scope.CHECK], label="", by=OPERATOR, at=NOW)


def ending(verb: Any, name: str, row: Any) -> Act:
    return partial(verb, **{name: row}, by=OPERATOR, at=NOW)


CASES = {
    "register_firm": Case(lambda w: partial(enter, w), (Verb.FIRM_REGISTERED,)),
    "approve_firm": Case(
        lambda w: partial(firms.approve_firm, firm=enter(w), by=OPERATOR, at=NOW), (Verb.FIRM_APPROVED,)
    ),
    "end_approval": Case(
        lambda w: ending(firms.end_approval, "approval", w.loans.approvals.get()), (Verb.FIRM_APPROVAL_ENDED,)
    ),
    "issue_credential": Case(lambda w: partial(issue, w), (Verb.CREDENTIAL_ISSUED,)),
    "revoke_credential": Case(
        lambda w: ending(firms.revoke_credential, "credential", w.credential), (Verb.CREDENTIAL_REVOKED,)
    ),
    "submit_calling_number": Case(lambda w: partial(submit_line, w), (Verb.CALLING_NUMBER_SUBMITTED,)),
    "approve_calling_number": Case(
        lambda w: ending(firms.approve_calling_number, "calling_number", submit_line(w)), (Verb.CALLING_NUMBER_ADDED,)
    ),
    "add_calling_number": Case(
        lambda w: partial(add_line, w), (Verb.CALLING_NUMBER_SUBMITTED, Verb.CALLING_NUMBER_ADDED)
    ),
    "withdraw_calling_number": Case(
        lambda w: ending(firms.withdraw_calling_number, "calling_number", w.loans.calling_numbers.get()),
        (Verb.CALLING_NUMBER_WITHDRAWN,),
    ),
    "propose_mandate": Case(lambda w: partial(propose, w), (Verb.MANDATE_PROPOSED,)),
    "confirm_mandate": Case(lambda w: ending(firms.confirm_mandate, "mandate", propose(w)), (Verb.MANDATE_CONFIRMED,)),
    "end_mandate": Case(lambda w: ending(firms.end_mandate, "mandate", confirmed(w)), (Verb.MANDATE_ENDED,)),
    "grant_licence": Case(
        lambda w: partial(
            firms.grant_licence, firm=w.loans, purpose=w.purpose("retail"), document="", by=OPERATOR, at=NOW
        ),
        (Verb.LICENCE_GRANTED,),
    ),
    "end_licence": Case(lambda w: ending(firms.end_licence, "licence", w.shop.licences.get()), (Verb.LICENCE_ENDED,)),
    "submit_matter": Case(lambda w: partial(submit, w), (Verb.MATTER_SUBMITTED, Verb.WORDING_ADDED)),
    "approve_matter": Case(lambda w: ending(firms.approve_matter, "matter", submit(w)), (Verb.MATTER_APPROVED,)),
    "withdraw_matter": Case(lambda w: ending(firms.withdraw_matter, "matter", w.offer), (Verb.MATTER_WITHDRAWN,)),
}
# Beginnings and endings in general; every verb above that begins or ends something is one of them.
MACHINERY = {"start", "close"}


def test_every_verb_has_its_case() -> None:
    assert set(CASES) == verbs_of(firms) - MACHINERY


@pytest.mark.parametrize("verb", CASES)
def test_a_verb_writes_its_events_and_they_show_its_rows(w: World, verb: str) -> None:
    act = CASES[verb].ready(w)
    events = written_by(act)
    assert tuple(event.verb for event in events) == CASES[verb].writes
    assert {(event.actor_kind, event.actor_id, event.at) for event in events} == {(ActorKind.OPERATOR, None, NOW)}
    assert untraced() == []


@pytest.mark.parametrize("verb", CASES)
def test_a_verb_that_cannot_write_its_event_changes_nothing(w: World, verb: str) -> None:
    changes_nothing_without_its_event(CASES[verb].ready(w))


# --- firms -------------------------------------------------------------------------------------------


def test_a_new_firm_is_not_approved(w: World) -> None:
    assert not enter(w).approvals.exists()


def test_a_credit_code_is_kept_as_it_is_written_officially(w: World) -> None:
    assert enter(w, credit_code=credit_code().lower()).credit_code == credit_code()


def test_a_credit_code_with_a_wrong_check_character_is_refused(w: World) -> None:
    wrong = credit_code()[:-1] + ("A" if credit_code()[-1] != "A" else "B")
    with refused("bad_credit_code", field="credit_code"):
        enter(w, credit_code=wrong)


def test_a_firm_is_registered_once(w: World) -> None:
    with refused("firm_exists", field="credit_code"):
        enter(w, credit_code=w.loans.credit_code)


def test_a_firm_is_approved_once(w: World) -> None:
    with refused("already_approved"):
        firms.approve_firm(firm=w.loans, by=OPERATOR, at=NOW)


def test_a_firm_whose_approval_ended_may_be_approved_anew(w: World) -> None:
    firms.end_approval(approval=w.loans.approvals.get(), by=OPERATOR, at=NOW)
    firms.approve_firm(firm=w.loans, by=OPERATOR, at=NOW)
    assert [approval.in_force(NOW) for approval in w.loans.approvals.order_by("pk")] == [False, True]


# --- keys --------------------------------------------------------------------------------------------


def test_a_key_is_returned_once_and_kept_nowhere(w: World) -> None:
    credential, key = issue(w)
    assert key not in str(everything())
    assert bytes(credential.digest) == credentials.digest(key)
    assert credential.hint == key[-4:]


def test_scopes_are_kept_in_order_whatever_order_they_come_in(w: World) -> None:
    credential, _key = firms.issue_credential(
        firm=w.loans, mode=Mode.TEST, scopes={Scope.CHECK, Scope.BATCH}, label="", by=OPERATOR, at=NOW
    )
    assert credential.scopes == ["batch", "check"]


# --- calling numbers ---------------------------------------------------------------------------------


def test_a_private_mobile_is_no_calling_number(w: World) -> None:
    with refused("private_mobile", field="number"):
        add_line(w, ALICE)


def test_a_calling_number_has_one_firm(w: World) -> None:
    with refused("calling_number_taken", field="number"):
        firms.add_calling_number(firm=w.shop, number=PhoneNumber(LOANS_LINE), display_name="", by=OPERATOR, at=NOW)


def test_a_calling_number_is_registered_once(w: World) -> None:
    with refused("calling_number_taken", field="number"):
        add_line(w, PhoneNumber(LOANS_LINE))


def test_a_withdrawn_calling_number_may_go_to_another_firm(w: World) -> None:
    firms.withdraw_calling_number(calling_number=w.loans.calling_numbers.get(), by=OPERATOR, at=NOW)
    taken = firms.add_calling_number(firm=w.shop, number=PhoneNumber(LOANS_LINE), display_name="", by=OPERATOR, at=NOW)
    assert CallingNumber.objects.in_force(NOW).get(number=LOANS_LINE) == taken


def test_a_submitted_calling_number_waits(w: World) -> None:
    waiting = submit_line(w)
    assert (waiting.submitted_at, waiting.starts) == (NOW, None)
    assert w.ruling(caller=NEW_LINE.e164, at=LATER) == "block caller_unregistered"


def test_an_approved_calling_number_is_in_force_from_then_on(w: World) -> None:
    waiting = submit_line(w)
    firms.approve_calling_number(calling_number=waiting, by=OPERATOR, at=LATER)
    assert not CallingNumber.objects.in_force(LATER - timedelta(microseconds=1)).filter(number=NEW_LINE.e164).exists()
    assert CallingNumber.objects.in_force(LATER).get(number=NEW_LINE.e164) == waiting
    assert w.ruling(caller=NEW_LINE.e164, at=LATER) == "block no_authorization"


def test_two_firms_may_wait_for_one_number_and_one_gets_it(w: World) -> None:
    first, second = submit_line(w), submit_line(w, w.shop)
    firms.approve_calling_number(calling_number=second, by=OPERATOR, at=LATER)
    with refused("calling_number_taken", field="number"):
        firms.approve_calling_number(calling_number=first, by=OPERATOR, at=LATER)


def test_a_firm_waits_for_a_number_once(w: World) -> None:
    submit_line(w)
    with refused("calling_number_taken", field="number"):
        submit_line(w)


def test_a_number_given_up_while_it_waited_may_be_submitted_again_and_never_approved(w: World) -> None:
    given_up = submit_line(w)
    firms.withdraw_calling_number(calling_number=given_up, by=OPERATOR, at=NOW)
    submit_line(w, at=LATER)
    with refused("not_waiting"):
        firms.approve_calling_number(calling_number=given_up, by=OPERATOR, at=LATER)


# --- mandates ----------------------------------------------------------------------------------------


def test_a_proposed_mandate_is_not_in_force(w: World) -> None:
    propose(w)
    assert not Mandate.objects.in_force(LATER).exists()


def test_a_confirmed_mandate_is_in_force_from_then_on(w: World) -> None:
    mandate = propose(w)
    firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=LATER)
    assert not Mandate.objects.in_force(LATER - timedelta(microseconds=1)).exists()
    assert Mandate.objects.in_force(LATER).get() == mandate


def test_nobody_is_mandated_by_himself(w: World) -> None:
    with refused("own_client", field="client"):
        firms.propose_mandate(agent=w.loans, client=w.loans, by=OPERATOR, at=NOW)


def test_a_mandate_is_confirmed_once(w: World) -> None:
    mandate = confirmed(w)
    with refused("not_waiting"):
        firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=NOW)


def test_a_mandate_withdrawn_before_it_was_confirmed_cannot_be_confirmed(w: World) -> None:
    mandate = propose(w)
    firms.end_mandate(mandate=mandate, by=OPERATOR, at=NOW)
    with refused("not_waiting"):
        firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=LATER)


def test_one_of_two_proposed_mandates_can_be_confirmed(w: World) -> None:
    """What is only proposed is in nobody's way."""
    propose(w)
    mandate = propose(w)
    firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=LATER)
    assert Mandate.objects.in_force(LATER).get() == mandate


def test_a_second_mandate_of_the_same_client_is_refused_not_failed(w: World) -> None:
    second = propose(w)
    confirmed(w)
    with refused("already_mandated"):
        firms.confirm_mandate(mandate=second, by=OPERATOR, at=NOW)


# --- licences and matters ----------------------------------------------------------------------------


def test_a_firm_is_licensed_once_for_a_purpose(w: World) -> None:
    with refused("already_licensed", field="purpose"):
        firms.grant_licence(firm=w.shop, purpose=w.purpose("retail"), document="", by=OPERATOR, at=NOW)


def test_a_licence_that_ended_may_be_granted_anew(w: World) -> None:
    firms.end_licence(licence=w.shop.licences.get(), by=OPERATOR, at=NOW)
    firms.grant_licence(firm=w.shop, purpose=w.purpose("retail"), document="", by=OPERATOR, at=NOW)
    assert w.shop.licences.in_force(NOW).count() == 1


def test_a_submitted_matter_waits_with_its_first_wording(w: World) -> None:
    matter = submit(w, wording="可以打电话吗？")
    assert matter.starts is None
    assert list(matter.wordings.values_list("version", "text", "at")) == [(1, "可以打电话吗？", NOW)]


def test_a_matters_code_is_used_once(w: World) -> None:
    with refused("matter_exists", field="code"):
        submit(w, code=w.offer.code)


def test_a_matters_code_is_not_used_again_after_it_was_withdrawn(w: World) -> None:
    firms.withdraw_matter(matter=w.offer, by=OPERATOR, at=NOW)
    with refused("matter_exists", field="code"):
        submit(w, code=w.offer.code)


def test_two_firms_may_use_the_same_code(w: World) -> None:
    assert world.matter(w.shop, w.offer.code, "retail", NOW).code == w.offer.code


def test_a_matter_is_approved_once(w: World) -> None:
    with refused("not_waiting"):
        firms.approve_matter(matter=w.offer, by=OPERATOR, at=NOW)


def test_a_matter_without_a_wording_is_refused_not_failed(w: World) -> None:
    with refused("no_wording", field="wording"):
        submit(w, wording="")


# --- endings -----------------------------------------------------------------------------------------

ENDINGS = [verb for verb, case in CASES.items() if verb.startswith(("end_", "revoke_", "withdraw_"))]


@pytest.mark.parametrize("verb", ENDINGS)
def test_what_has_ended_is_not_ended_again(w: World, verb: str) -> None:
    act = CASES[verb].ready(w)
    act()
    with refused("already_ended"):
        act()


@pytest.mark.parametrize("verb", ENDINGS)
def test_an_ending_is_dated_when_it_was_said(w: World, verb: str) -> None:
    (event,) = written_by(CASES[verb].ready(w))
    assert event.state["ends"] == NOW.isoformat()


def test_an_ending_shows_what_another_has_done_meanwhile(w: World) -> None:
    """Two people have the same proposal open: one confirms it, the other ends it (law 4)."""
    mandate = propose(w)
    as_one_page_read_it = Mandate.objects.get(pk=mandate.pk)
    firms.confirm_mandate(mandate=mandate, by=OPERATOR, at=NOW)
    firms.end_mandate(mandate=as_one_page_read_it, by=OPERATOR, at=LATER)
    assert untraced() == []
