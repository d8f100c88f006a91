from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class RecordConfig(AppConfig):
    name = "record"

    def ready(self) -> None:
        from record import checks, guards, partitions, roles  # noqa: F401, PLC0415  (models must be loaded first)

        post_migrate.connect(guards.install_after_migrate)
        post_migrate.connect(partitions.make_after_migrate)
        post_migrate.connect(roles.grant_after_migrate)
