"""What follows, at an instant, from a firm's approval and the sanctions in force on it or on its number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from telemarketers.terms import STOPS_CALLS, PurposeKind, Step


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a firm is approved, and the kinds of purpose that it may not call for."""

    approved: bool
    barred: frozenset[PurposeKind] = frozenset()


def barred_kinds(sanctions: Iterable[tuple[str, bool]]) -> frozenset[PurposeKind]:
    """Kinds of purpose that sanctions in force stop, each given as (step, covers service).

    Reminder, interview and rectification order leave the standing good. A sanction covers marketing, and
    service only where its deciders said so (law 6).
    """
    kinds: set[PurposeKind] = set()
    for step, covers_service in sanctions:
        if step in STOPS_CALLS:
            kinds.add(PurposeKind.MARKETING)
            if covers_service:
                kinds.add(PurposeKind.SERVICE)
    return frozenset(kinds)


def name_of_standing(*, approved: bool, steps: Iterable[str]) -> str:
    """The word that the public look-up shows, from the steps in force."""
    if not approved:
        return "not_approved"
    in_force = set(steps)
    if Step.BAR in in_force:
        return "barred"
    return "suspended" if in_force & set(STOPS_CALLS) else "good"
