"""Each constraint of this room is broken in bulk or by SQL; one without a case here fails.

What guards hold (append-only, closes-only, no overlap) is broken in tests/record/test_guards.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from consents import actions
from consents.models import (
    AllowDay,
    Authorization,
    CheckSegment,
    Holding,
    LodgedRefusal,
    Preference,
    Refusal,
    Registration,
    RegistrationImport,
)
from telemarketers.terms import ALL_CHANNELS, Channel
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
from tests.world import NOW, START, SUBSCRIBER, World


def authorization(w: World, **more: Any) -> list[Authorization]:
    """For the loan firm's purpose as a whole; inserted without the verb."""
    given = {"channels": 1, "starts": START, "ends": NOW, **more}
    return Authorization.objects.bulk_create(
        [Authorization(holding=w.hold(), firm=w.loans, purpose_id="loan_finance", **given)]
    )


def registration(w: World, channels: int) -> list[Registration]:
    return Registration.objects.bulk_create([Registration(holding=w.hold(), channels=channels, starts=START)])


def preference(w: World, **more: int | None) -> Preference:
    return Preference.objects.bulk_create([Preference(holding=w.hold(), starts=START, **more)])[0]


def no_such_hours(days: str) -> Breaks:
    def asked(start: int | None, end: int | None) -> Callable[[World], Any]:
        return lambda w: preference(w, **{f"{days}_from": start, f"{days}_until": end})

    return {
        "from-24:00": asked(1440, 600),
        "until-after-24:00": asked(540, 1441),
        "no-end": asked(540, None),
        "no-beginning": asked(None, 600),
    }


BREAKS: dict[str, Breaks] = {
    "holding_runs_forwards": runs_backwards(Holding),
    "registration_runs_forwards": runs_backwards(Registration),
    "authorization_runs_forwards": {
        **runs_backwards(Authorization),
        "closed": lambda w: rows_of(authorization(w)[0]).update(ends=START - A_MOMENT),
    },
    "refusal_runs_forwards": runs_backwards(Refusal),
    "preference_runs_forwards": runs_backwards(Preference),
    "registration_has_channels": {
        "none": lambda w: registration(w, 0),
        "unknown": lambda w: registration(w, int(ALL_CHANNELS) + 1),
    },
    "authorization_has_channels": {
        "none": lambda w: authorization(w, channels=0),
        "unknown": lambda w: authorization(w, channels=int(ALL_CHANNELS) + 1),
    },
    "authorization_is_pinned_to_a_wording": {
        "matter-without": lambda w: authorization(w, matter=w.offer),
        "purpose-with": lambda w: authorization(w, wording=w.offer.wordings.get()),
    },
    "refusal_is_lodged_after_it_was_said": {
        "before": lambda w: again(EXAMPLES[LodgedRefusal](w), said_at=NOW + A_MOMENT),
    },
    "preference_weekday_hours_are_a_pair": no_such_hours("weekday"),
    "preference_rest_day_hours_are_a_pair": no_such_hours("rest_day"),
    "segment_is_one_of_its_set": {
        "twice": lambda w: again(EXAMPLES[CheckSegment](w), packed=b""),
    },
    "file_is_imported_once": {
        "twice": lambda w: RegistrationImport.objects.bulk_create(
            RegistrationImport(digest=b"d" * 32, number_key=1, column="phone", started_at=NOW) for _time in range(2)
        ),
    },
    "allow_day_is_counted_once": {
        "twice": lambda w: again(EXAMPLES[AllowDay](w)),
    },
}


@pytest.mark.parametrize(
    ("name", "how"), [pytest.param(name, how, id=f"{name}-{how}") for name in BREAKS for how in BREAKS[name]]
)
def test_a_constraint_holds(w: World, name: str, how: str) -> None:
    with refused_by_database(constraints_of("consents")[name]), transaction.atomic():
        BREAKS[name][how](w)


def test_every_constraint_is_broken_here() -> None:
    assert set(BREAKS) == set(constraints_of("consents"))


# --- the other side: what must be possible --------------------------------------------------------------


def test_a_preference_may_wrap_midnight(w: World) -> None:
    assert preference(w, weekday_from=1200, weekday_until=480, rest_day_from=1439, rest_day_until=0).pk


def test_a_preference_may_end_at_midnight_and_be_never(w: World) -> None:
    assert preference(w, weekday_from=540, weekday_until=1440, rest_day_from=600, rest_day_until=600).pk


def test_an_allow_day_of_a_matter_and_of_its_purpose_are_two(w: World) -> None:
    day = EXAMPLES[AllowDay](w)
    again(day, matter_id=0)
    assert AllowDay.objects.count() == 2


def test_a_permission_ended_in_the_instant_it_began_is_possible(w: World) -> None:
    given = w.authorize(channels=Channel.SMS)
    assert actions.revoke(authorizations=rows_of(given), by=SUBSCRIBER, at=START) == 1
