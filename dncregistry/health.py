"""Does the process live (`/healthz`), and can it rule (`/readyz`)?"""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.utils import Error as DatabaseFailure
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consents.models import CheckRecord
from dncregistry.errors import Refused
from record import clock, guards, keys, partitions, stored_numbers
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
        """200 if every part that a ruling needs is there, else 503; each part with "ok" or what is wrong."""
        parts = {name: _state(part) for name, part in PARTS.items()}
        ready = all(state == "ok" for state in parts.values())
        return Response({"status": "ready" if ready else "not ready", "parts": parts}, status=200 if ready else 503)


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
