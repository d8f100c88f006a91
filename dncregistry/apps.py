from __future__ import annotations

from celery import signals
from django.apps import AppConfig


class DncregistryConfig(AppConfig):
    name = "dncregistry"

    def ready(self) -> None:
        from dncregistry import checks  # noqa: PLC0415  (the rooms' models must be loaded first)

        for process_starts in (signals.worker_init, signals.beat_init):
            process_starts.connect(checks.demand_fit_to_serve_owed_work, weak=False)
