"""What the registry does by itself for firms. Each task may run twice (dncregistry/celery.py)."""

from __future__ import annotations

from celery import shared_task

from record import clock
from telemarketers import idempotency


@shared_task
def forget_old_requests() -> None:
    idempotency.forget_old(clock.now())
