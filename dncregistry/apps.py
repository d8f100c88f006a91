from __future__ import annotations

from django.apps import AppConfig


class DncregistryConfig(AppConfig):
    name = "dncregistry"

    def ready(self) -> None:
        from dncregistry import checks  # noqa: F401, PLC0415  (the rooms' models must be loaded first)
