"""What is owed is sent at least once, by any number of workers; and when it is given up, that shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from uuid import UUID, uuid4

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import translation
from pytest_django import DjangoAssertNumQueries

from dncregistry.errors import Refused
from record import notices
from record.gateway import NotSent
from record.models import Notice
from record.notices import BATCH, KEPT, LEASE, MOST_ATTEMPTS, RUN, Compose, Message
from record.numbers import PhoneNumber
from record.terms import NoticeKind, Trouble
from tests.world import ALICE, NOW, START, World

GRANTED, ENDING = NoticeKind.AUTHORIZATION_GRANTED, NoticeKind.AUTHORIZATION_ENDING
SECOND = timedelta(seconds=1)


def say(about_id: str, at: datetime) -> Message | None:
    return Message(ALICE, "granted", {"about": about_id}, "en")


@dataclass
class Outbox:
    """A gateway that takes everything, or fails as it is told to; `meanwhile` is what happens during a send."""

    fails: NotSent | None = None
    meanwhile: Callable[[], object] = lambda: None
    ids: list[UUID] = field(default_factory=list)

    def send(
        self, notice_id: UUID, number: PhoneNumber, template: str, params: Mapping[str, str], language: str
    ) -> None:
        assert not connection.savepoint_ids, "sent inside a transaction"
        self.ids.append(notice_id)
        self.meanwhile()
        if self.fails:
            raise self.fails


def deliver(outbox: Outbox, at: datetime = NOW, compose: Compose = say) -> int:
    return notices.deliver_due({GRANTED: compose}, outbox, clock=lambda: at)


def owe(w: World, due: datetime = NOW, kind: NoticeKind = GRANTED) -> Notice:
    notices.owe(w.loans, {kind: due}, at=START)
    return Notice.objects.get(kind=kind)


def owe_many(count: int) -> None:
    Notice.objects.bulk_create(
        Notice(id=uuid4(), kind=GRANTED, about_kind="firm", about_id=str(number), made_at=START, due_at=NOW)
        for number in range(count)
    )


# --- owing -------------------------------------------------------------------------------------------


def test_what_is_owed_is_written_with_the_change_or_not_at_all(w: World) -> None:
    with transaction.atomic():
        owe(w)
        transaction.set_rollback(True)
    assert not Notice.objects.exists()


def test_owing_twice_is_owing_once_under_the_first_id(w: World) -> None:
    first = owe(w)
    assert owe(w, NOW + timedelta(days=1)) == first
    assert Notice.objects.get().due_at == NOW


def test_a_notice_names_what_it_is_about(w: World) -> None:
    notice = owe(w)
    assert (notice.about_kind, notice.about_id, str(notice)) == (
        "firm",
        str(w.loans.pk),
        f"authorization_granted of firm {w.loans.pk}",
    )


# --- sending -----------------------------------------------------------------------------------------


def test_what_is_due_is_sent_once(w: World) -> None:
    notice, outbox = owe(w), Outbox()
    assert (deliver(outbox), deliver(outbox)) == (1, 0)
    assert outbox.ids == [notice.pk]
    notice.refresh_from_db()
    assert (notice.sent_at, notice.attempts, notice.leased_until) == (NOW, 1, None)


def test_what_is_not_due_yet_waits(w: World) -> None:
    owe(w, NOW)
    outbox = Outbox()
    deliver(outbox, NOW - SECOND)
    assert not outbox.ids


def test_what_is_no_longer_owed_is_dropped(w: World) -> None:
    notice, outbox = owe(w), Outbox()
    assert deliver(outbox, compose=lambda _id, _at: None) == 0
    notice.refresh_from_db()
    assert (outbox.ids, notice.dropped_at, notice.sent_at) == ([], NOW, None)


def test_another_rooms_notices_are_left_to_it(w: World) -> None:
    owe(w, kind=ENDING)
    assert deliver(Outbox()) == 0
    assert Notice.objects.due(NOW).count() == 1


def test_the_longest_waiting_is_sent_first(w: World) -> None:
    owe_many(2)
    late = Notice.objects.latest("id")
    Notice.objects.filter(pk=late.pk).update(due_at=START)
    outbox = Outbox()
    deliver(outbox)
    assert outbox.ids[0] == late.pk


def test_a_run_sends_more_than_one_lease_holds(w: World) -> None:
    owe_many(2 * BATCH + 1)
    assert deliver(Outbox()) == 2 * BATCH + 1


def test_a_run_ends_after_a_while_and_leaves_the_rest_to_the_next(w: World) -> None:
    owe_many(BATCH + 1)
    times = iter([NOW, *[NOW + RUN] * 2 * BATCH])
    assert notices.deliver_due({GRANTED: say}, Outbox(), clock=lambda: next(times)) == BATCH
    assert Notice.objects.due(NOW + RUN).count() == 1


def test_an_idle_sweep_asks_once_and_makes_nobody_wait(
    w: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    owe(w, NOW + SECOND)
    with django_assert_num_queries(1):
        deliver(Outbox())


# --- failing -----------------------------------------------------------------------------------------


def test_after_a_failure_it_pauses_and_tries_again_under_the_same_id(w: World) -> None:
    notice, outbox = owe(w), Outbox(fails=NotSent(Trouble.BUSY))
    deliver(outbox)
    notice.refresh_from_db()
    assert (notice.last_error, notice.sent_at, notice.dead_at) == (Trouble.BUSY, None, None)

    minute = timedelta(minutes=1)
    outbox.fails = None
    assert deliver(outbox, NOW + minute - SECOND) == 0
    assert deliver(outbox, NOW + minute) == 1
    assert outbox.ids == [notice.pk] * 2
    notice.refresh_from_db()
    assert (notice.attempts, notice.last_error) == (2, "")


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 2), (3, 4), (7, 64), (8, 128), (9, 240), (MOST_ATTEMPTS, 240)]
)
def test_pauses_double_up_to_four_hours(attempts: int, minutes: int) -> None:
    assert notices.pause_after(attempts) == timedelta(minutes=minutes)


def test_what_will_never_be_taken_is_dead_at_once(w: World) -> None:
    notice = owe(w)
    deliver(Outbox(fails=NotSent(Trouble.REJECTED, for_good=True)))
    notice.refresh_from_db()
    assert (notice.dead_at, notice.last_error, notice.attempts) == (NOW, Trouble.REJECTED, 1)


def test_after_two_days_of_trouble_it_is_given_up(w: World) -> None:
    notice, outbox, at = owe(w), Outbox(fails=NotSent(Trouble.UNREACHABLE)), NOW
    for _attempt in range(MOST_ATTEMPTS + 5):
        deliver(outbox, at)
        at += notices.LONGEST_PAUSE
    notice.refresh_from_db()
    assert (len(outbox.ids), notice.last_error) == (MOST_ATTEMPTS, Trouble.UNREACHABLE)
    assert notice.dead_at is not None


# --- several workers, and workers that never come back -------------------------------------------------


def test_what_one_has_leased_another_leaves_alone(w: World) -> None:
    owe(w)
    other = Outbox()
    deliver(Outbox(meanwhile=lambda: deliver(other, NOW + LEASE - SECOND)))
    assert other.ids == []


def test_whoever_stood_still_too_long_is_overtaken_and_settles_nothing(w: World) -> None:
    notice, other = owe(w), Outbox()
    slow = Outbox(meanwhile=lambda: deliver(other, NOW + LEASE), fails=NotSent(Trouble.REJECTED, for_good=True))
    deliver(slow)
    notice.refresh_from_db()
    assert slow.ids == other.ids == [notice.pk]
    assert (notice.sent_at, notice.dead_at, notice.attempts) == (NOW + LEASE, None, 2)


def test_whoever_stood_still_sends_nothing_of_what_may_be_anothers(w: World) -> None:
    owe_many(BATCH)
    outbox = Outbox()
    times = iter([NOW, NOW, NOW + LEASE, NOW + LEASE])
    notices.deliver_due({GRANTED: say}, outbox, clock=lambda: next(times))
    assert len(outbox.ids) == 1


def test_what_was_leased_and_never_settled_again_and_again_is_given_up(w: World) -> None:
    notice = owe(w)
    Notice.objects.update(attempts=MOST_ATTEMPTS, leased_until=NOW)
    outbox = Outbox()
    deliver(outbox)
    notice.refresh_from_db()
    assert (outbox.ids, notice.dead_at, notice.last_error) == ([], NOW, Trouble.INTERRUPTED)


def test_four_workers_at_once_send_each_notice_once(committed: World) -> None:
    owe_many(60)
    outboxes = [Outbox() for _worker in range(4)]

    def work(outbox: Outbox) -> int:
        try:
            return deliver(outbox)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as workers:
        assert sum(workers.map(work, outboxes)) == 60
    assert set(Counter(notice for outbox in outboxes for notice in outbox.ids).values()) == {1}


# --- what is left over ---------------------------------------------------------------------------------


def test_the_oldest_owed_is_the_one_that_waits_longest(w: World) -> None:
    assert notices.oldest_owed(NOW) is None
    owe(w, NOW)
    owe(w, START, ENDING)
    assert notices.oldest_owed(START - SECOND) is None
    assert notices.oldest_owed(NOW) == START
    Notice.objects.filter(kind=ENDING).update(dropped_at=NOW)
    assert notices.oldest_owed(NOW) == NOW


def test_what_is_paused_still_counts_as_owed(w: World) -> None:
    owe(w)
    deliver(Outbox(fails=NotSent(Trouble.BUSY)))
    assert notices.oldest_owed(NOW) == NOW


@pytest.mark.parametrize("way", ["sent_at", "dropped_at", "dead_at"])
def test_what_was_settled_long_ago_is_deleted(w: World, way: str) -> None:
    owe(w)
    Notice.objects.update(**{way: NOW, "attempts": 1, "last_error": Trouble.BUSY})
    assert (notices.age_out(at=NOW + KEPT - SECOND), notices.age_out(at=NOW + KEPT)) == (0, 1)


def test_what_is_still_owed_is_never_deleted(w: World) -> None:
    owe(w)
    assert notices.age_out(at=NOW + 10 * KEPT) == 0


# --- the command ---------------------------------------------------------------------------------------


@pytest.fixture
def dead(w: World) -> Iterator[Notice]:
    notice = owe(w)
    deliver(Outbox(fails=NotSent(Trouble.REJECTED, for_good=True)))
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        yield notice


def shown(*arguments: str) -> str:
    out = StringIO()
    with translation.override("en"):
        call_command("notices", *arguments, stdout=out)
    return out.getvalue()


if connection.vendor == "sqlite":  # elsewhere the database's clock cannot be set

    def test_the_command_shows_what_is_owed_late_and_dead(dead: Notice, w: World) -> None:
        owe(w, kind=ENDING)
        counts, late, given_up = shown().splitlines()
        assert counts == "1 owed, of which 1 are due and 1 are late; 1 were given up."
        assert "authorization_ending of firm" in late
        assert "late, due 2026-01-07T10:00:00+08:00" in late
        assert given_up.startswith(f"{dead.pk}  authorization_granted of firm {w.loans.pk}: given up 2026-01-07T10")
        assert given_up.endswith("attempts: 1, the gateway will not take it")

    @pytest.mark.parametrize("all_of_them", [True, False], ids=["all", "by-id"])
    def test_what_was_given_up_is_owed_again_under_the_same_id(dead: Notice, all_of_them: bool) -> None:
        arguments = ["--retry-dead"] if all_of_them else ["--retry", str(dead.pk)]
        assert shown(*arguments) == "1 owed again.\n"
        outbox = Outbox()
        assert deliver(outbox, NOW + timedelta(hours=1)) == 1
        assert outbox.ids == [dead.pk]


def test_only_what_was_given_up_can_be_owed_again(w: World) -> None:
    notice = owe(w)
    with pytest.raises(Refused) as refusal:
        notices.owe_again([notice.pk], at=NOW)
    assert refusal.value.code == "not_dead"


def test_one_that_was_not_given_up_keeps_all_from_being_owed_again(w: World) -> None:
    dead, alive = owe(w), owe(w, kind=ENDING)
    Notice.objects.filter(pk=dead.pk).update(dead_at=NOW, last_error=Trouble.BUSY)
    with pytest.raises(Refused):
        notices.owe_again([dead.pk, alive.pk], at=NOW)
    dead.refresh_from_db()
    assert dead.dead_at == NOW
