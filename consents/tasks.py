"""What the registry does by itself for subscribers. Each task may run twice (dncregistry/celery.py)."""

from __future__ import annotations

from celery import shared_task

from consents import ageing
from consents.notices import COMPOSE, TEXTS
from record import clock, notices
from record.gateway import TerminalGateway, https_gateway


@shared_task
def deliver_notices() -> None:
    notices.deliver_due(COMPOSE, https_gateway() or TerminalGateway(TEXTS), clock=clock.now)


@shared_task
def age_out_checks() -> None:
    ageing.age_out(at=clock.now())
