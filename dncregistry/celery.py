"""Owed work: which tasks run, how often, and on what terms.

The row is the queue (docs/decisions/0015-the-row-is-the-queue.md): a message here only says *look now*. Every task may
run twice, and losing every message costs seconds, never the work.
"""

from __future__ import annotations

import os
from logging.config import dictConfig
from typing import Any

from celery import Celery, Task, signals
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dncregistry.settings")


def every(seconds: int, task: str) -> dict[str, Any]:
    """An entry of the schedule. A message that nobody took before the next one is of no use any more."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}


MINUTE, HOUR = 60, 3600

SCHEDULE = {
    "notices": every(12, "consents.tasks.deliver_notices"),
    "old checks": every(5 * MINUTE, "consents.tasks.age_out_checks"),
    "old notices": every(HOUR, "record.tasks.age_out_notices"),
    "old requests": every(HOUR, "telemarketers.tasks.forget_old_requests"),
    "partitions ahead": every(HOUR, "record.tasks.make_partitions"),
    "taken messages": every(HOUR, "record.tasks.sweep_broker"),
}


class OwedTask(Task):  # type: ignore[type-arg]  # it takes no arguments at run time
    Request = "dncregistry.acks:PlaceFreeingRequest"


app = Celery("dncregistry", task_cls=OwedTask)
# From there: CELERY_BROKER_URL and CELERY_BROKER_TRANSPORT_OPTIONS, which the profiles differ in.
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    beat_schedule=SCHEDULE,
    beat_scheduler="record.beat:GuardedScheduler",
    # A worker that is killed gives its message back; one that is busy holds none.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    # Seconds. Every task stops by itself long before.
    task_soft_time_limit=100,
    task_time_limit=120,
    # Whoever hurries a task does so once: the sweep finds what is lost.
    task_publish_retry=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # however long Redis is away
    task_serializer="json",
    accept_content=["json"],
    enable_utc=True,
    timezone="UTC",
    # Nobody steers workers through the broker.
    worker_enable_remote_control=False,
)
app.autodiscover_tasks()


@signals.setup_logging.connect
def log_as_django_does(**_: Any) -> None:
    """Lines of workers and beat are masked like all others (law 8)."""
    dictConfig(settings.LOGGING)
