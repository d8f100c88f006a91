"""What a user would pick instead of the registry's check, served by the same web server on the same database.

`/echo` is the least that a server can do: it sends back what it was sent. `/plain` is what a good afternoon with Django
REST framework gives: a serializer, an API key and a do-not-call list through the ORM, and a record committed before the
answer. It knows no firms, hours, caps, clocks or receipts, and it rules wrongly wherever those would have mattered.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.rivals_settings")
django = get_wsgi_application()

from django.db import transaction  # noqa: E402  (after Django is set up)
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from consents.models import CheckRecord, Registration  # noqa: E402
from record import keys  # noqa: E402
from record.ids import uuid7  # noqa: E402
from record.numbers import PhoneNumber  # noqa: E402
from telemarketers.models import Credential, Policy  # noqa: E402


class Question(serializers.Serializer[Any]):
    callee = serializers.CharField(max_length=20)
    caller = serializers.CharField(max_length=20)
    purpose = serializers.CharField(max_length=30)
    channel = serializers.CharField(max_length=10)


class PlainView(APIView):
    def post(self, request: Request) -> Response:
        form = Question(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        now = datetime.now(UTC)
        key = request.headers["Authorization"].removeprefix("Bearer ")
        with transaction.atomic():
            credential = Credential.objects.select_related("firm").get(digest=hashlib.sha256(key.encode()).digest())
            pseudonym = keys.pseudonymizer().pseudonym(PhoneNumber(asked["callee"]))
            registered = Registration.objects.filter(holding__number__pseudonym=pseudonym, ends=None).exists()
            told = ("block", "registered") if registered else ("allow", "not_registered")
            kept = CheckRecord.objects.create(
                id=uuid7(now),
                checked_at=now,
                for_time=now,
                valid_until=now + timedelta(minutes=15),
                firm=credential.firm,
                credential=credential,
                caller=asked["caller"],
                number_key=1,
                purpose_id=asked["purpose"],
                channel=1,
                policy=Policy.objects.latest("starts"),
                callee=pseudonym,
                verdict=told[0],
                reason=told[1],
                inner_reason=told[1],
            )
        return Response({"id": str(kept.id), "verdict": told[0], "reason": told[1], "checked_at": now})


urlpatterns = [path("plain", PlainView.as_view())]


def application(environ: dict[str, Any], start_response: Any) -> Any:
    if environ["PATH_INFO"] != "/echo":
        return django(environ, start_response)
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
