"""Does the process live (`/healthz`), can it rule (`/readyz`), and what has it measured (`/metrics`)?"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.utils import Error as DatabaseFailure
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consents.models import CheckRecord
from dncregistry import metrics, vitals
from dncregistry.errors import Refused
from record import clock, guards, keys, partitions, stored_numbers
from telemarketers import credentials
from telemarketers import policy as policies
from telemarketers.models import Policy


class HealthView(APIView):
    http_method_names = ("get", "head")
    schema = None

    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadyView(APIView):
    http_method_names = ("get", "head")
    schema = None

    def get(self, request: Request) -> Response:
        """200 if every part that a ruling needs is there, else 503; each part with "ok" or what is wrong.

        The vital signs are told beside them, and change nothing about the status.
        """
        parts = {name: _state(part) for name, part in PARTS.items()}
        ready = all(state == "ok" for state in parts.values())
        told = {"status": "ready" if ready else "not ready", "parts": parts, "vitals": _vitals()}
        return Response(told, status=200 if ready else 503)


class MetricsView(APIView):
    http_method_names = ("get", "head")
    schema = None

    def get(self, request: Request) -> HttpResponse:
        """Everything measured, in Prometheus' text format, for whoever presents METRICS_TOKEN."""
        scheme, _space, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        known = scheme.lower() == "bearer" and compare_digest(token.encode(), settings.METRICS_TOKEN.encode())
        if not (settings.METRICS_TOKEN and known):
            raise credentials.Unauthenticated("invalid_key", _("Send METRICS_TOKEN as “Authorization: Bearer …”."))
        registry = metrics.registry()
        told = generate_latest(registry) + generate_latest(_of_vitals())
        return HttpResponse(told, content_type=CONTENT_TYPE_LATEST)


def _vitals() -> dict[str, dict[str, Any]]:
    return {
        name: {
            "value": figure,
            **({"most": vital.most} if vital.most is not None else {"least": vital.least}),
            "state": "look" if vital.is_bad(figure) else "ok",
        }
        for name, figure in vitals.measure().items()
        for vital in [vitals.VITALS[name]]
    }


def _of_vitals() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(vitals.VitalsCollector())
    return registry


def _state(part: Callable[[], str]) -> str:
    try:
        return part()
    except (Refused, DatabaseFailure, ImproperlyConfigured) as error:
        return type(error).__name__


def _clock() -> str:
    clock.now()
    return "ok"


def _keys() -> str:
    keys.require()
    return "ok" if stored_numbers.are_readable() else "do not fit the numbers in the database"


def _guards() -> str:
    missing = guards.missing(connection)
    return f"missing: {', '.join(missing)}" if missing else "ok"


def _policy() -> str:
    policy = Policy.objects.in_force(clock.now()).first()
    if policy is None:
        return "none in force"
    policies.read(policy.document)
    return "ok"


def _partitions() -> str:
    months = partitions.ahead(connection, CheckRecord._meta.db_table, clock.now())
    return "ok" if months >= 1 else "less than a month ahead: run `manage.py make_partitions`"


PARTS = {"clock": _clock, "keys": _keys, "guards": _guards, "policy": _policy, "partitions": _partitions}
