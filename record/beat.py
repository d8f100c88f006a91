"""Which beat ticks? The one that holds the lease, a row in the database; all others stand by and take over.

Works alike on both databases. The schedule is kept in memory: it is static, every task may run twice, and whoever
takes over runs everything once.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from celery.beat import Scheduler
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.models import Q

from dncregistry.errors import CannotRule
from record import clock
from record.ids import EPOCH
from record.models import BeatLease

# A beat that is killed is followed within TERM and a STEP.
TERM = timedelta(seconds=10)
STEP = 3  # seconds between two looks

log = logging.getLogger(__name__)


def take(holder: str, *, at: datetime) -> bool:
    """Takes or prolongs the lease; says whether `holder` has it now."""
    if not BeatLease.objects.exists():
        BeatLease.objects.bulk_create([BeatLease(holder="", until=at, ticked_at=at)], ignore_conflicts=True)
    free = BeatLease.objects.filter(Q(holder=holder) | Q(until__lte=at))
    return bool(free.update(holder=holder, until=at + TERM, ticked_at=at))


def give_back(holder: str, *, at: datetime) -> None:
    BeatLease.objects.filter(holder=holder).update(until=at)


def last_tick() -> datetime | None:
    """When a beat last ticked."""
    return BeatLease.objects.values_list("ticked_at", flat=True).first()


class GuardedScheduler(Scheduler):
    """Ticks only while it holds the lease."""

    max_interval = STEP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.holder = uuid4().hex
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """As far as this beat knows nothing has run yet: an hourly task must not need a beat that lives an hour."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = EPOCH

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until the next look. A database that fails means no tick, and no end."""
        try:
            holds = take(self.holder, at=clock.now())
        except (DatabaseFailure, CannotRule) as failure:
            log.warning("no tick: %s", type(failure).__name__)
            connection.close()
            return STEP
        if not holds:
            return STEP
        return min(super().tick(*args, **kwargs), STEP)

    def close(self) -> None:
        """Lets the next one take over at once."""
        super().close()
        try:
            give_back(self.holder, at=clock.now())
        except (DatabaseFailure, CannotRule):
            connection.close()
