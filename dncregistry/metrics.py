"""What the registry says about itself to Prometheus: counts and times, never a number, never a firm.

Thresholds are in docs/operations.md. With several web processes each writes to a file of its own under
PROMETHEUS_MULTIPROC_DIR (`manage.py serve` clears that folder and names it), and whoever is asked adds them up.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

ANSWERS = Counter("dnc_answers", "Numbers answered", ["mode", "verdict", "reason"])
UNANSWERED = Counter("dnc_unanswered", "Requests answered 503: no ruling could be given")
GROUP_SIZE = Histogram(
    "dnc_group_size", "Numbers ruled on by one statement and kept by one commit", buckets=(1, 4, 16, 64, 256, 1000)
)
STATEMENT_SECONDS = Histogram(
    "dnc_statement_seconds",
    "Time in each statement of a check",
    ["statement"],
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
)


def timed(statement: str) -> AbstractContextManager[object]:
    """Times what is done inside, as that statement."""
    return STATEMENT_SECONDS.labels(statement).time()


def count_answers(mode: str, told: Sequence[tuple[str, str]]) -> None:
    """One group of answers: (verdict, reason) of each number."""
    for (verdict, reason), times in collections.Counter(told).items():
        ANSWERS.labels(mode, verdict, reason).inc(times)
    GROUP_SIZE.observe(len(told))


def registry() -> CollectorRegistry:
    """Everything measured, by all web processes of this machine."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    everything = CollectorRegistry()
    MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
    return everything


@dataclass(frozen=True, slots=True)
class Totals:
    """What was measured so far."""

    samples: list[Sample]

    def total(self, name: str) -> float:
        return sum(sample.value for sample in self.samples if sample.name == name)

    def by(self, label: str, name: str) -> dict[str, float]:
        return {sample.labels[label]: sample.value for sample in self.samples if sample.name == name}


def totals() -> Totals:
    return Totals([sample for family in registry().collect() for sample in family.samples])
