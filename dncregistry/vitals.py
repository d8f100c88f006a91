"""The registry's vital signs: each a figure, with a threshold past which somebody should look (docs/operations.md).

Read when somebody asks (`/readyz`, `/metrics`), never on the way of a check. A sign past its threshold does not make
the registry unready: taking it out of service would help nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import connection
from django.db.utils import Error as DatabaseFailure
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from consents.models import CheckRecord
from dncregistry import breaker, metrics
from dncregistry.metrics import Totals
from record import beat, clock, notices, partitions
from record.models import Notice


@dataclass(frozen=True, slots=True)
class Vital:
    """More than `most`, less than `least`, or a figure that cannot be had, is bad."""

    says: str
    measure: Callable[[Totals], float | None]
    most: float | None = None
    least: float | None = None

    def is_bad(self, figure: float | None) -> bool:
        if figure is None:
            return True
        return (self.most is not None and figure > self.most) or (self.least is not None and figure < self.least)


def _clock_difference(_: Totals) -> float:
    return clock.read().difference.total_seconds()


def _partitions_ahead(_: Totals) -> float:
    return partitions.ahead(connection, CheckRecord._meta.db_table, clock.read().stated)


def _oldest_owed(_: Totals) -> float:
    at = clock.read().stated
    since = notices.oldest_owed(at)
    return 0.0 if since is None else (at - since).total_seconds()


def _dead_notices(_: Totals) -> float:
    return Notice.objects.filter(dead_at__isnull=False).count()


def _beat_silence(_: Totals) -> float | None:
    tick = beat.last_tick()
    return None if tick is None else (clock.read().stated - tick).total_seconds()


def _breaker_open(_: Totals) -> float:
    return float(breaker.database.is_open)


def _unanswered_share(totals: Totals) -> float:
    unanswered = totals.total("dnc_unanswered_total")
    asked = unanswered + totals.total("dnc_group_size_count")
    return unanswered / asked if asked else 0.0


def _slowest_statement(totals: Totals) -> float:
    seconds = totals.by("statement", "dnc_statement_seconds_sum")
    times = totals.by("statement", "dnc_statement_seconds_count")
    return max((seconds[name] / times[name] for name in times if times[name]), default=0.0)


def _mean_group(totals: Totals) -> float:
    groups = totals.total("dnc_group_size_count")
    return totals.total("dnc_group_size_sum") / groups if groups else 0.0


VITALS = {
    "clock_difference_seconds": Vital("between this process and the database", _clock_difference, most=2),
    "partitions_ahead": Vital("months of check records that can be written to", _partitions_ahead, least=2),
    "oldest_owed_seconds": Vital("how long the longest waiting notice has been due", _oldest_owed, most=300),
    "dead_notices": Vital("notices that were given up", _dead_notices, most=0),
    "beat_silence_seconds": Vital("since beat last ticked", _beat_silence, most=60),
    "breaker_open": Vital("1 while the database is not asked", _breaker_open, most=0),
    # Of this machine's web processes, since they started:
    "unanswered_share": Vital("of questions that could not be ruled on", _unanswered_share, most=0.01),
    "slowest_statement_seconds": Vital("mean time of the slowest statement of a check", _slowest_statement, most=0.1),
    "mean_group_size": Vital("numbers ruled on by one statement", _mean_group, most=900),
}


def measure() -> dict[str, float | None]:
    """Every figure; None for one that the database would have to give, and cannot."""
    totals = metrics.totals()
    return {name: _figure(vital, totals) for name, vital in VITALS.items()}


def _figure(vital: Vital, totals: Totals) -> float | None:
    try:
        return vital.measure(totals)
    except DatabaseFailure:
        return None


class VitalsCollector(Collector):
    """The vital signs as gauges; what cannot be measured is left out."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, figure in measure().items():
            if figure is not None:
                yield GaugeMetricFamily(f"dnc_{name}", VITALS[name].says, value=figure)
