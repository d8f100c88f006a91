"""Each constraint of this room is broken in bulk or by SQL; one without a case here fails.

What guards hold (append-only, closes-only, no overlap) is broken in tests/record/test_guards.py.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import transaction

from record import notices
from record.models import BeatLease, KeyInUse, Notice, User
from record.terms import NoticeKind, Trouble
from tests.record.test_guards import Breaks, again, constraints_of, refused_by_database, rows_of
from tests.world import NOW, START, World


def owed(w: World) -> Notice:
    notices.owe(w.loans, {NoticeKind.AUTHORIZATION_GRANTED: NOW}, at=START)
    return Notice.objects.get()


def settled(*ways: str, attempts: int = 1, last_error: str = Trouble.BUSY, leased_until: datetime | None = None) -> Any:
    settling = {"attempts": attempts, "last_error": last_error, "leased_until": leased_until}
    return lambda w: rows_of(owed(w)).update(**dict.fromkeys(ways, NOW), **settling)


def lease(**more: Any) -> list[BeatLease]:
    return BeatLease.objects.bulk_create([BeatLease(**{"holder": "a", "until": NOW, "ticked_at": NOW, **more})])


BREAKS: dict[str, Breaks] = {
    "record_user.email": {"twice": lambda w: User.objects.bulk_create([User(email=w.staff.email, name="丙")])},
    "record_number.pseudonym": {"twice": lambda w: again(w.hold().number, key=2)},
    "record_keyinuse_runs_forwards": {"backwards": lambda w: KeyInUse.objects.create(pk=2, starts=NOW, ends=START)},
    "notice_is_owed_once": {"twice": lambda w: again(owed(w), id=w.loans.pk)},
    "notice_is_settled_one_way": {
        "sent-and-dead": settled("sent_at", "dead_at"),
        "sent-and-dropped": settled("sent_at", "dropped_at"),
        "dropped-and-dead": settled("dropped_at", "dead_at"),
        "all": settled("sent_at", "dropped_at", "dead_at"),
    },
    "notice_settled_is_nobodys_work": {
        way: settled(f"{way}_at", leased_until=NOW) for way in ("sent", "dropped", "dead")
    },
    "notice_sent_was_attempted": {"never": settled("sent_at", attempts=0)},
    "notice_dead_says_of_what": {"of-nothing": settled("dead_at", last_error="")},
    "notice_error_is_a_known_word": {"a-number": settled("dead_at", last_error="+8613800138000")},
    "beat_lease_is_one_row": {"a-second": lambda w: lease(id=2)},
}


@pytest.mark.parametrize(
    ("name", "how"), [pytest.param(name, how, id=f"{name}-{how}") for name in BREAKS for how in BREAKS[name]]
)
def test_a_constraint_holds(w: World, name: str, how: str) -> None:
    with refused_by_database(constraints_of("record")[name]), transaction.atomic():
        BREAKS[name][how](w)


def test_every_constraint_is_broken_here() -> None:
    assert set(BREAKS) == set(constraints_of("record"))


# --- the other side: what must be possible --------------------------------------------------------------


@pytest.mark.parametrize("way", ["sent_at", "dropped_at", "dead_at"])
def test_a_notice_may_be_settled_in_each_way(w: World, way: str) -> None:
    assert settled(way)(w) == 1


def test_the_one_lease_may_be_there(db: None) -> None:
    assert lease()
