"""Each constraint of this room is broken in bulk or by SQL; one without a case here fails.

What guards hold (append-only, closes-only, no overlap) is broken in tests/record/test_guards.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from telemarketers import shipped
from telemarketers.models import (
    Approval,
    CallingNumber,
    Credential,
    Firm,
    IdempotencyKey,
    Licence,
    Mandate,
    Matter,
    Policy,
    Sanction,
    Wording,
)
from telemarketers.terms import Step
from tests.record.test_guards import (
    A_MOMENT,
    EXAMPLES,
    Breaks,
    again,
    constraints_of,
    refused_by_database,
    rows_of,
    runs_backwards,
)
from tests.world import NOW, SHOP_LINE, START, World


def policy(**more: Any) -> list[Policy]:
    document = shipped.policy("china")
    return Policy.objects.bulk_create(
        [Policy(**{"version": "next", "starts": NOW, "published_at": NOW, "document": document, **more})]
    )


def sanction(w: World, **more: Any) -> Sanction:
    """Proposed, on the loan firm; inserted without the verb."""
    given = {"firm": w.loans, "step": Step.SUSPENSION, "proposed_by": w.staff, "proposed_at": START, **more}
    why = {"reason": "投诉", "rule": "第十条", "remedy": "整改"}
    return Sanction.objects.bulk_create([Sanction(**{**why, **given})])[0]


def in_force(w: World, **more: Any) -> Sanction:
    return sanction(w, **{"starts": NOW, "ends": NOW + timedelta(days=15), "approved_by": w.other_staff, **more})


def wording(w: World, **more: Any) -> list[Wording]:
    return Wording.objects.bulk_create(
        [Wording(**{"matter": w.offer, "version": 2, "text": "您好", "at": NOW, **more})]
    )


BREAKS: dict[str, Breaks] = {
    "telemarketers_firm.credit_code": {
        "another-firm": lambda w: Firm.objects.bulk_create([Firm(credit_code=w.loans.credit_code, name="冒名")]),
        "renamed": lambda w: Firm.objects.filter(pk=w.shop.pk).update(credit_code=w.loans.credit_code),
    },
    "telemarketers_policy.version": {"twice": lambda w: policy(version="china-1")},
    "telemarketers_policy.starts": {"two-at-once": lambda w: policy(starts=START, published_at=START)},
    "policy_binds_nobody_before_it_is_out": {"by-a-moment": lambda w: policy(published_at=NOW + A_MOMENT)},
    "telemarketers_credential.digest": {"same-key": lambda w: again(w.credential, firm_id=w.shop.pk)},
    "telemarketers_idempotencykey.name": {"same-key": lambda w: again(EXAMPLES[IdempotencyKey](w))},
    "approval_runs_forwards": runs_backwards(Approval),
    "credential_runs_forwards": runs_backwards(Credential),
    "calling_number_runs_forwards": runs_backwards(CallingNumber),
    "mandate_runs_forwards": runs_backwards(Mandate),
    "licence_runs_forwards": runs_backwards(Licence),
    "matter_runs_forwards": runs_backwards(Matter),
    "sanction_runs_forwards": runs_backwards(Sanction),
    "mandate_is_given_to_another": {
        "to-oneself": lambda w: Mandate.objects.bulk_create([Mandate(agent=w.loans, client=w.loans, proposed_at=NOW)]),
    },
    "matter_code_is_one_of_its_firm": {"same-firm": lambda w: again(w.offer, title="另一事项")},
    "wording_version_is_one_of_its_matter": {"twice": lambda w: wording(w, version=1)},
    "wording_says_something": {
        "nothing": lambda w: wording(w, text=""),
        "version-zero": lambda w: wording(w, version=0),
    },
    "sanction_is_on_one_firm_number_or_range": {
        "on-nothing": lambda w: sanction(w, firm=None),
        "firm-and-number": lambda w: sanction(w, caller=SHOP_LINE),
        "firm-and-range": lambda w: sanction(w, caller_range="951"),
        "number-and-range": lambda w: sanction(w, firm=None, caller=SHOP_LINE, caller_range="951"),
        "all-three": lambda w: sanction(w, caller=SHOP_LINE, caller_range="951"),
    },
    "sanction_is_decided_by_two_people": {
        "inserted": lambda w: sanction(w, approved_by=w.staff),
        "inserted-in-force": lambda w: in_force(w, approved_by=w.staff),
        "approved-by-the-proposer": lambda w: rows_of(sanction(w)).update(approved_by=w.staff),
        "in-force-by-the-proposer": lambda w: rows_of(sanction(w)).update(approved_by=w.staff, starts=NOW),
    },
    "sanction_in_force_was_approved": {
        "suspension-unapproved": lambda w: in_force(w, approved_by=None),
        "suspension-proposed-by-nobody": lambda w: in_force(w, proposed_by=None),
        "bar-unapproved": lambda w: in_force(w, step=Step.BAR, approved_by=None),
        "listed-reminder-unapproved": lambda w: in_force(w, step=Step.REMINDER, is_listed=True, approved_by=None),
        "started-without-approval": lambda w: rows_of(sanction(w)).update(starts=NOW),
    },
    "sanction_brake_is_on_one_number_for_marketing": {
        "on-a-firm": lambda w: sanction(w, step=Step.BRAKE),
        "on-a-range": lambda w: sanction(w, step=Step.BRAKE, firm=None, caller_range="951"),
        "covering-service": lambda w: sanction(
            w, step=Step.BRAKE, firm=None, caller=SHOP_LINE, covers_service=True, codes_meanwhile="邮件"
        ),
        "listed": lambda w: sanction(w, step=Step.BRAKE, firm=None, caller=SHOP_LINE, is_listed=True),
    },
    "sanction_that_stops_calls_has_an_end": {
        "suspension": lambda w: sanction(w, starts=NOW, approved_by=w.other_staff),
        "brake": lambda w: sanction(w, step=Step.BRAKE, firm=None, caller=SHOP_LINE, starts=NOW),
    },
    "sanction_of_service_says_how_codes_arrive": {"silent": lambda w: sanction(w, covers_service=True)},
    "sanction_says_why": {
        "no-reason": lambda w: sanction(w, reason=""),
        "no-rule": lambda w: sanction(w, rule=""),
        "no-remedy": lambda w: sanction(w, remedy=""),
    },
}


@pytest.mark.parametrize(
    ("name", "how"), [pytest.param(name, how, id=f"{name}-{how}") for name in BREAKS for how in BREAKS[name]]
)
def test_a_constraint_holds(w: World, name: str, how: str) -> None:
    with refused_by_database(constraints_of("telemarketers")[name]), transaction.atomic():
        BREAKS[name][how](w)


def test_every_constraint_is_broken_here() -> None:
    assert set(BREAKS) == set(constraints_of("telemarketers"))


# --- what constraints and guards hold together (law 9) -------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SET proposed_by_id = approved_by_id", id="the-approver-made-the-proposer"),
        pytest.param("SET approved_by_id = proposed_by_id", id="the-proposer-made-the-approver"),
        pytest.param("SET proposed_by_id = approved_by_id, approved_by_id = proposed_by_id", id="exchanged"),
        pytest.param("SET proposed_by_id = NULL", id="proposed-by-nobody"),
        pytest.param("SET approved_by_id = NULL", id="approved-by-nobody"),
        pytest.param("SET approved_by_id = NULL, starts = NULL", id="as-if-never-approved"),
    ],
)
def test_who_decided_is_never_rewritten(w: World, statement: str) -> None:
    decided = in_force(w)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE telemarketers_sanction {statement} WHERE id = %s", [decided.pk])


def test_the_proposer_is_not_changed_so_that_the_same_person_may_approve(w: World) -> None:
    waiting = sanction(w)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE telemarketers_sanction SET proposed_by_id = %s, approved_by_id = %s, starts = %s WHERE id = %s",
            [w.other_staff.pk, w.staff.pk, NOW, waiting.pk],
        )


def test_a_reminder_needs_one_person(w: World) -> None:
    """The other side of `sanction_in_force_was_approved`: the lower steps restrict nobody."""
    assert in_force(w, step=Step.REMINDER, approved_by=None).pk


def test_an_interval_may_be_empty(w: World) -> None:
    calling_number = w.loans.calling_numbers.get()
    assert rows_of(calling_number).update(ends=calling_number.starts) == 1


def test_a_matter_never_approved_may_be_withdrawn(w: World) -> None:
    waiting = Matter.objects.bulk_create(
        [Matter(firm=w.loans, code="later", purpose_id="insurance", title="", submitted_at=START)]
    )[0]
    assert rows_of(waiting).update(ends=NOW) == 1
