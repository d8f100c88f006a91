"""Which records of checks are past their term, and how do they go without holding up those who ask?"""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from consents.models import AllowDay, CheckRecord, CheckSet
from record import partitions
from record.calendar import calendar_months_later
from record.ids import first_uuid
from telemarketers import policy as policies
from telemarketers.models import Policy
from telemarketers.policy import Rules

TERM_MONTHS = 6  # calendar months in the policy's zone: design §5, "check records 6 months"

# SQLite has one writer, and a check waits for it: few rows at a time, and a pause after them.
CHUNK = 1000
PAUSE = 0.05  # seconds
RUN = 20.0  # seconds; the next run goes on where this one stopped


def age_out(*, at: datetime) -> int:
    """Deletes what is past its term, for at most `RUN` seconds; returns how many rows and monthly tables went."""
    policies_to_mind = Policy.objects.filter(Q(pk__in=Policy.objects.in_force(at).values("pk")) | Q(starts__gt=at))
    rules = [policies.read(policy.document) for policy in policies_to_mind.order_by("starts")]
    if not rules:
        return 0  # Nobody has been answered yet.
    kept = kept_from(at, rules[0])
    start = datetime.combine(kept, datetime.min.time(), tzinfo=rules[0].zone)
    counted = rules[0].day(at) - timedelta(days=max(rule.cap_window_days for rule in rules))
    by_row: list[QuerySet[Any]] = [
        CheckSet.objects.filter(pk__lt=first_uuid(start)),  # and with each its segments, in one transaction
        # A cap may look further back than records are kept.
        AllowDay.objects.filter(day__lt=min(kept, counted)),
    ]
    if connection.vendor != "postgresql":
        by_row.append(CheckRecord.objects.filter(pk__lt=first_uuid(start)))
    ends = time.monotonic() + RUN
    gone = sum(_delete(rows, ends) for rows in by_row)
    return gone + len(partitions.drop_before(connection, CheckRecord._meta.db_table, start))


def kept_from(at: datetime, rules: Rules) -> date:
    """The first day whose records are kept. A term that ends on a day there is none of ends some days later."""
    return calendar_months_later(rules.day(at) + timedelta(days=1), -TERM_MONTHS)


def _delete(rows: QuerySet[Any], ends: float) -> int:
    deleted = 0
    while time.monotonic() < ends and (ids := list(rows.values_list("pk", flat=True)[:CHUNK])):
        rows.model._default_manager.filter(pk__in=ids).delete()
        deleted += len(ids)
        time.sleep(PAUSE)
    return deleted
