"""What does the registry owe citizens, and how does it get sent at least once, whoever is killed meanwhile?

The row is the queue: an action writes what is owed in its own transaction (`owe`), a task sends what is due
(`deliver_due`). A worker leases a few rows, sends outside any transaction, and settles each. Any number of workers
may do so at once. A repeat after a kill carries the same id, by which the gateway drops it (design §9).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import models, transaction
from django.db.models import F, Min, Q
from django.utils.translation import gettext_lazy as _

from dncregistry.errors import Refused
from record.gateway import Gateway, NotSent
from record.ids import uuid7
from record.ledger import kind_of
from record.models import Notice
from record.numbers import PhoneNumber
from record.terms import NoticeKind, Trouble

log = logging.getLogger(__name__)

# A worker's, for all the rows that it takes at once; longer than sending them can take (record/gateway.py).
LEASE = timedelta(minutes=2)
BATCH = 10
# Between attempts: a minute, doubled each time, at most four hours. Twenty attempts are about two days.
PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=4)
MOST_ATTEMPTS = 20
# A run of the task goes on with what is due for so long; the next one finds the rest.
RUN = timedelta(seconds=30)
# Settled notices are kept for as long as a citizen may ask what became of one.
KEPT = timedelta(days=90)
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Message:
    number: PhoneNumber
    template: str
    params: Mapping[str, str]
    language: str


# From the id of what a notice is about, as things then stand: what to send, or None if it is no longer owed.
Compose = Callable[[str, datetime], Message | None]


def owe(about: models.Model, due: Mapping[NoticeKind, datetime], *, at: datetime) -> None:
    """Owes notices about a row, each when it is due. What is owed already stays as it is.

    Called by actions only, inside the transaction that makes the change.
    """
    Notice.objects.bulk_create(
        (
            Notice(
                id=uuid7(at), kind=kind, about_kind=kind_of(about), about_id=str(about.pk), made_at=at, due_at=due_at
            )
            for kind, due_at in due.items()
        ),
        ignore_conflicts=True,
    )


def deliver_due(compose: Mapping[NoticeKind, Compose], gateway: Gateway, *, clock: Callable[[], datetime]) -> int:
    """Sends what is due of the kinds that `compose` knows; returns how many were sent.

    `clock` is asked again and again, since sending takes time. Raises what it raises.
    """
    sent = 0
    began = at = clock()
    while at - began < RUN and (leased := _lease(compose, at)):
        until = at + LEASE
        for notice in leased:
            at = clock()
            if at >= until:
                break  # We stood still for so long that the rest may be another's by now.
            sent += _deliver(notice, compose[NoticeKind(notice.kind)], gateway, at)
        at = clock()
    return sent


def oldest_owed(at: datetime) -> datetime | None:
    """Since when the longest waiting notice has been due and is unsettled."""
    oldest: datetime | None = Notice.objects.unsettled().filter(due_at__lte=at).aggregate(Min("due_at"))["due_at__min"]
    return oldest


def owe_again(ids: Collection[UUID], *, at: datetime) -> int:
    """Dead notices are owed anew, from now, under the same ids. Returns how many.

    Raises `Refused` (`not_dead`) if one of them is not dead, and then changes nothing.
    """
    with transaction.atomic():
        dead = Notice.objects.filter(pk__in=ids, dead_at__isnull=False)
        again = dead.update(dead_at=None, last_error="", attempts=0, due_at=at)
        if again != len(set(ids)):
            raise Refused("not_dead", _("Only notices that were given up can be owed again."))
    return again


def age_out(*, at: datetime) -> int:
    """Deletes the notices that were settled `KEPT` ago or earlier; returns how many."""
    before = at - KEPT
    old = Notice.objects.filter(Q(sent_at__lte=before) | Q(dropped_at__lte=before) | Q(dead_at__lte=before))
    deleted = 0
    while ids := list(old.values_list("pk", flat=True)[:CHUNK]):
        deleted += Notice.objects.filter(pk__in=ids).delete()[0]
    return deleted


def pause_after(attempts: int) -> timedelta:
    doubled: int = 2 ** (attempts - 1)
    return min(PAUSE * doubled, LONGEST_PAUSE)


def _lease(kinds: Collection[NoticeKind], at: datetime) -> list[Notice]:
    """Takes a few due rows for `LEASE`. Those that were leased often enough and never settled are given up."""
    due = Notice.objects.due(at).filter(kind__in=kinds)
    if not due.exists():
        return []  # The rule, and on SQLite a transaction would make others wait.
    with transaction.atomic():
        due.filter(attempts__gte=MOST_ATTEMPTS).update(dead_at=at, last_error=Trouble.INTERRUPTED, leased_until=None)
        # Rows that another worker is leasing at this moment are passed over. SQLite has one writer at a time.
        taken = list(due.order_by("due_at").select_for_update(skip_locked=True)[:BATCH])
        rows = Notice.objects.filter(pk__in=[notice.pk for notice in taken])
        rows.update(leased_until=at + LEASE, attempts=F("attempts") + 1)
        return list(rows.order_by("due_at"))


def _deliver(notice: Notice, compose: Compose, gateway: Gateway, at: datetime) -> bool:
    try:
        message = compose(notice.about_id, at)
        if message is None:
            _settle(notice, dropped_at=at)
            return False
        gateway.send(notice.pk, message.number, message.template, message.params, message.language)
    except NotSent as failure:
        log.warning("notice %s was not sent: %s", notice.pk, failure.trouble.value)
        if failure.for_good or notice.attempts >= MOST_ATTEMPTS:
            _settle(notice, dead_at=at, last_error=failure.trouble)
        else:
            _settle(notice, leased_until=at + pause_after(notice.attempts), last_error=failure.trouble)
        return False
    return _settle(notice, sent_at=at, last_error="")


def _settle(notice: Notice, **how: object) -> bool:
    """Writes what became of it, unless the lease has passed to another, who then says."""
    mine = Notice.objects.unsettled().filter(pk=notice.pk, leased_until=notice.leased_until)
    return bool(mine.update(**{"leased_until": None, **how}))
