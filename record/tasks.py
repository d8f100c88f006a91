"""What the registry does by itself for its own record. Each task may run twice (dncregistry/celery.py)."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings
from django.db import connection

from record import broker, clock, notices, partitions


@shared_task
def make_partitions() -> None:
    at = clock.now()
    for table in partitions.partitioned():
        partitions.make_ahead(connection, table, at)


@shared_task
def age_out_notices() -> None:
    notices.age_out(at=clock.now())


@shared_task
def sweep_broker() -> None:
    if settings.BROKER_FILE:
        broker.sweep(settings.BROKER_FILE)
