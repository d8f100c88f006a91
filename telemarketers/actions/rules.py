"""The regulator sets the rules: purposes, policies, sanctions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from dncregistry.errors import Refused
from record import ledger
from record.ledger import Actor
from record.models import User
from record.numbers import NumberRefused, parse_caller
from record.terms import Verb
from telemarketers import policy as policies
from telemarketers.actions.firms import close
from telemarketers.models import Firm, Policy, Purpose, Sanction
from telemarketers.terms import STOPS_CALLS, PurposeKind, Step

BRAKE_LASTS = timedelta(hours=72)  # at most: design §4


@transaction.atomic
def add_purpose(*, code: str, kind: PurposeKind, name_zh: str, name_en: str, by: Actor, at: datetime) -> Purpose:
    purpose, is_new = Purpose.objects.get_or_create(
        code=code, defaults={"kind": kind, "name_zh": name_zh, "name_en": name_en}
    )
    if not is_new:
        raise Refused("purpose_exists", _("There is a purpose with this code already."), field="code")
    ledger.record(Verb.PURPOSE_ADDED, of=purpose, by=by, at=at)
    return purpose


@transaction.atomic
def add_missing_purposes(listed: Iterable[Mapping[str, str]], *, by: Actor, at: datetime) -> None:
    """Adds those of the `listed` purposes (code, kind, name_zh, name_en) that are not there yet."""
    present = set(Purpose.objects.values_list("code", flat=True))
    for purpose in listed:
        if purpose["code"] not in present:
            add_purpose(
                code=purpose["code"],
                kind=PurposeKind(purpose["kind"]),
                name_zh=purpose["name_zh"],
                name_en=purpose["name_en"],
                by=by,
                at=at,
            )


@transaction.atomic
def publish_policy(*, version: str, document: Mapping[str, Any], starts: datetime, by: Actor, at: datetime) -> Policy:
    """Publishes rules that hold from `starts` until a later policy's.

    Raises `Refused`: `starts_in_the_past`; `notice_too_short` if the rules protect less than those that they
    succeed and begin within 30 days (law 10); `version_exists`; `policy_malformed`; `stance_of_no_purpose`.
    """
    rules = policies.read(document)
    if starts < at:
        raise Refused("starts_in_the_past", _("A policy cannot begin in the past."), field="starts")
    if Policy.objects.filter(version=version).exists():
        raise Refused("version_exists", _("There is a policy of this version already."), field="version")
    if Policy.objects.filter(starts__gt=at).exists():
        raise Refused(
            "policy_waiting", _("A published policy has not begun yet. Publish after it has."), field="starts"
        )
    unknown = set(rules.stances) - set(
        Purpose.objects.filter(kind=PurposeKind.MARKETING).values_list("code", flat=True)
    )
    if unknown:
        raise Refused(
            "stance_of_no_purpose",
            _("A stance names something that is no marketing purpose."),
            field="stances",
        )
    present = Policy.objects.in_force(at).first()
    weaker = policies.weakens(policies.read(present.document), rules) if present else []
    if weaker and starts < at + policies.NOTICE_OF_WEAKENING:
        raise Refused(
            "notice_too_short",
            _("This policy protects citizens less ({rules}). Publish it at least 30 days ahead.").format(
                rules=", ".join(weaker)
            ),
            field="starts",
        )
    policy = Policy.objects.create(version=version, document=dict(document), starts=starts, published_at=at)
    ledger.record(Verb.POLICY_PUBLISHED, of=policy, by=by, at=at)
    return policy


@transaction.atomic
def propose_sanction(
    *,
    step: Step,
    reason: str,
    rule: str,
    remedy: str,
    by: User,
    at: datetime,
    papers: str = "",
    firm: Firm | None = None,
    caller: str = "",
    caller_range: str = "",
    codes_meanwhile: str = "",
    covers_service: bool = False,
    is_listed: bool = False,
) -> Sanction:
    """One person proposes a restriction on a firm, a calling number or a range; another must approve it."""
    _demand_staff(by)
    if not (reason and rule and remedy):
        raise Refused("sanction_says_why", _("A sanction names its reason, its rule and its remedy."))
    if [firm is not None, bool(caller), bool(caller_range)].count(True) != 1:
        raise Refused("one_target", _("A sanction is on one firm, one calling number or one range."))
    _demand_shape(caller, caller_range)
    if step == Step.BRAKE and (not caller or covers_service or is_listed):
        raise Refused(
            "brake_is_on_one_number", _("A brake is on one calling number, for marketing only."), field="caller"
        )
    if covers_service and not codes_meanwhile:
        raise Refused(
            "codes_meanwhile",
            _("Say how customers get their codes while service messages are stopped."),
            field="codes_meanwhile",
        )
    sanction = Sanction.objects.create(
        step=step,
        firm=firm,
        caller=caller,
        caller_range=caller_range,
        reason=reason,
        rule=rule,
        remedy=remedy,
        papers=papers,
        covers_service=covers_service,
        codes_meanwhile=codes_meanwhile,
        is_listed=is_listed,
        proposed_by=by,
        proposed_at=at,
    )
    ledger.record(Verb.SANCTION_PROPOSED, of=sanction, by=Actor.staff(by), at=at)
    return sanction


@transaction.atomic
def approve_sanction(*, sanction: Sanction, by: User, at: datetime) -> None:
    """The second person approves: in force now, and obeyed by the very next check (law 9)."""
    _demand_staff(by)
    if by.pk == sanction.proposed_by_id:
        raise Refused("same_person", _("Another person than the proposer must approve."))
    ends = _planned_end(sanction, at)
    approved = Sanction.objects.filter(pk=sanction.pk, starts__isnull=True, ends__isnull=True).update(
        approved_by=by, starts=at, ends=ends
    )
    if not approved:
        raise Refused("not_waiting", _("This has been decided already. Look at its present state."))
    sanction.refresh_from_db()
    ledger.record(Verb.SANCTION_APPROVED, of=sanction, by=Actor.staff(by), at=at)


@transaction.atomic
def lift_sanction(*, sanction: Sanction, by: User, at: datetime) -> None:
    """Restores at once."""
    close(sanction, Verb.SANCTION_LIFTED, by=Actor.staff(by), at=at)


def _demand_shape(caller: str, caller_range: str) -> None:
    """A target is written as calling numbers are stored, or the sanction would never bite."""
    try:
        if caller and parse_caller(caller).text != caller:
            raise Refused(
                "bad_caller", _("Write the number as it is registered: +861065529988 or 95588."), field="caller"
            )
    except NumberRefused as refused:
        raise Refused("bad_caller", refused.detail, field="caller") from refused
    if caller_range and not re.fullmatch(r"\+86[0-9]{1,12}|[1-9][0-9]{1,12}", caller_range):
        raise Refused("bad_range", _("Write a range by its first digits: +8610 or 9500."), field="caller_range")


def _demand_staff(user: User) -> None:
    if not (user.is_staff and user.is_active):
        raise Refused("not_staff", _("Only the regulator's staff decide about sanctions."))


def _planned_end(sanction: Sanction, at: datetime) -> datetime | None:
    """Suspension and bar last as long as the policy says; the lower steps until they lapse or are lifted."""
    if sanction.step not in STOPS_CALLS:
        return None
    present = Policy.objects.in_force(at).first()
    if present is None:
        raise Refused("no_policy", _("No policy is in force. Publish one first."))
    rules = policies.read(present.document)
    if sanction.step == Step.BRAKE:
        return at + BRAKE_LASTS
    if sanction.step == Step.BAR:
        return rules.months_later(at, rules.bar_months)
    return at + timedelta(days=rules.suspension_days)
