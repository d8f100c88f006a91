"""What time is it? The primary database says (law 2), so that all servers agree.

A door asks once a request and passes the answer on as `at`; nothing below a door asks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.apps import apps
from django.db import connection
from django.utils.translation import gettext_lazy as _

from dncregistry import metrics
from dncregistry.errors import CannotRule
from record.ids import first_uuid

# Past this the two clocks cannot both be trusted, and neither can a ruling that depends on the hour.
TOLERANCE = timedelta(seconds=2)


def now() -> datetime:
    """The primary database's time, aware, in UTC.

    Raises `CannotRule` if it differs from this process's by over two seconds, or if the record holds an event or a
    check from the future: a clock set back would date a revocation before the grant that it ends.
    """
    with metrics.timed("clock"):
        reading = read()
    if reading.difference > TOLERANCE:
        raise CannotRule(_("The clocks of the registry disagree. Try again shortly."))
    if reading.is_behind_its_record:
        raise CannotRule(_("The registry's clock is behind its own record. Try again shortly."))
    return reading.stated


@dataclass(frozen=True, slots=True)
class Reading:
    stated: datetime
    difference: timedelta  # between the database's clock and this process's, either way
    is_behind_its_record: bool


def read() -> Reading:
    """What the database's clock says, and whether it can be believed. One statement."""
    here = datetime.now(UTC)
    stated, newest_event, has_later_check = _ask(here)
    after = datetime.now(UTC)
    return Reading(
        stated,
        # The database read its clock between our two looks at ours.
        max(here - stated, stated - after, timedelta(0)),
        has_later_check or (newest_event is not None and newest_event - stated > TOLERANCE),
    )


def iso(at: datetime) -> str:
    """As the HTTP contract writes instants: UTC, ISO 8601, `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _ask(here: datetime) -> tuple[datetime, datetime | None, bool]:
    """The database's time, the newest event's, and whether there is a check from after `here` and the tolerance.

    A check's id tells its time, and only months that could hold such an id are looked at.
    """
    later = first_uuid(here + TOLERANCE)
    tables = [model._meta.db_table for model in apps.get_models() if getattr(model, "told_by_id", False)]
    checks = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE id > %s)" for table in tables)
    # SQLite runs in this process: there is only one clock, and SQL's own is cut to milliseconds.
    clock = "clock_timestamp()" if connection.vendor == "postgresql" else "NULL"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {clock}, (SELECT at FROM record_event ORDER BY id DESC LIMIT 1), {checks}",
            [later if connection.vendor == "postgresql" else later.hex] * len(tables),
        )
        stated, newest, has_later_check = cursor.fetchone()
    return (stated or here).astimezone(UTC), newest and aware(newest), bool(has_later_check)


def aware(stored: datetime | str) -> datetime:
    """An aware instant. SQLite keeps UTC without saying so, as text where it cannot see the column's type."""
    instant = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
