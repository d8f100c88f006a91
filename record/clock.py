"""What time is it? The primary database says (law 2), so that all servers agree.

A door asks once a request and passes the answer on as `at`; nothing below a door asks again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils.translation import gettext_lazy as _

from dncregistry.errors import CannotRule
from record.models import Event

# Past this the two clocks cannot both be trusted, and neither can a ruling that depends on the hour.
TOLERANCE = timedelta(seconds=2)


def now() -> datetime:
    """The primary database's time, aware, in UTC.

    Raises `CannotRule` if it differs from this process's by over two seconds or lies before the newest
    event: a clock set back would date a revocation before the grant that it ends.
    """
    here = datetime.now(UTC)
    stated, newest = _database_time(here)
    if not here - TOLERANCE <= stated <= datetime.now(UTC) + TOLERANCE:
        raise CannotRule(_("The clocks of the registry disagree. Try again shortly."))
    if newest is not None and newest - stated > TOLERANCE:
        raise CannotRule(_("The registry's clock is behind its own record. Try again shortly."))
    return stated


def iso(at: datetime) -> str:
    """As the HTTP contract writes instants: UTC, ISO 8601, `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _database_time(here: datetime) -> tuple[datetime, datetime | None]:
    newest = Event.objects.order_by("-id").values_list("at", flat=True)[:1]
    if connection.vendor == "sqlite":
        # SQLite runs in this process: there is only one clock, and SQL's own is cut to milliseconds.
        return here, newest.first()
    sql, params = newest.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT clock_timestamp(), ({sql})", params)
        row: tuple[datetime, datetime | None] = cursor.fetchone()
    return row[0].astimezone(UTC), row[1]
