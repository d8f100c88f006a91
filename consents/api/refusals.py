"""A person told a caller to stop, and the firm says so against itself."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consents import actions, testmode
from consents.models import LodgedRefusal
from dncregistry.errors import Refused
from dncregistry.schema import problems
from dncregistry.wire import AwareDateTimeField, NumberText, StrictSerializer, Text
from record import clock
from record.numbers import PhoneNumber
from telemarketers import doors, idempotency
from telemarketers.actions.firms import valid_credit_code
from telemarketers.doors import Visit
from telemarketers.models import Firm, Mandate
from telemarketers.terms import Scope

# Seconds that every lodging takes at least: several times what it needs. A number that the registry meets for the first
# time costs it a few statements more than one that is known, registered or refused already, and the time of an answer
# tells no more than the answer (law 5).
TAKES = 0.05


class RefusalRequest(StrictSerializer):
    number = NumberText(help_text="The number of the person who said stop.")
    said_at = AwareDateTimeField(help_text="When that was said: at most 30 days ago.")
    on_behalf_of = Text(
        required=False,
        allow_null=True,
        max_length=18,
        help_text="Credit code of the client that the call was for: the refusal is then lodged against the client.",
    )


class RefusalLodged(serializers.Serializer[Any]):
    number = serializers.CharField(help_text="E.164.")
    said_at = serializers.DateTimeField()
    on_behalf_of = serializers.CharField(allow_null=True)
    lodged_at = serializers.DateTimeField(help_text="Obeyed by every check from now on.")


class RefusalsView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="refusals_create",
        tags=["authorizations"],
        summary="This person told us to stop",
        description="The firm's marketing is refused from now on. The answer says nothing about the number.",
        parameters=[idempotency.HEADER],
        request=RefusalRequest,
        responses={201: RefusalLodged, **problems(400, 401, 403, 409, 411, 413, 415, 422, 429, 503)},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample(
                "said on the telephone",
                value={"number": "138 0013 8000", "said_at": "2026-11-23T09:58:00+08:00"},
                request_only=True,
            ),
            OpenApiExample(
                "lodged",
                value={
                    "number": "+8613800138000",
                    "said_at": "2026-11-23T01:58:00Z",
                    "on_behalf_of": None,
                    "lodged_at": "2026-11-23T02:00:00.000000Z",
                },
                response_only=True,
                status_codes=["201"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        not_before = time.monotonic() + TAKES
        with transaction.atomic():
            visit = doors.enter(request, Scope.AUTHORIZATIONS)
            said = doors.read(RefusalRequest, request)
            number = doors.number(said["number"])
            if visit.is_test:
                return Response(_of_test(request, visit, number, said), status=201, headers=visit.headers)
            lodged, status = idempotency.once(
                request, LodgedRefusal, firm=visit.firm, at=visit.at, act=lambda: _lodge(visit, number, said)
            )
            client = lodged.against.credit_code if lodged.against_id != visit.firm.pk else None
            answer = _shown(number, lodged.said_at, client, lodged.lodged_at)
        # After the commit: whoever waits for SQLite's one writer does not wait for this.
        time.sleep(max(0.0, not_before - time.monotonic()))
        return Response(answer, status=status, headers=visit.headers)


def _lodge(visit: Visit, number: PhoneNumber, said: dict[str, Any]) -> LodgedRefusal:
    return actions.lodge_refusal(
        number=number,
        firm=visit.firm,
        against=_against(visit, said),
        said_at=said["said_at"],
        by=visit.actor,
        at=visit.at,
    )


def _against(visit: Visit, said: dict[str, Any]) -> Firm:
    """The firm itself, or the client that it called for: one whose mandate held when stop was said, or holds now."""
    if not said.get("on_behalf_of"):
        return visit.firm
    code = valid_credit_code(said["on_behalf_of"], field="on_behalf_of")
    if code == visit.firm.credit_code:
        return visit.firm
    mandate: Mandate | None = (
        Mandate.objects.filter(agent=visit.firm, client__credit_code=code, starts__lte=visit.at)
        .filter(Q(ends__isnull=True) | Q(ends__gt=said["said_at"]))
        .select_related("client")
        .first()
    )
    if mandate is None:
        raise Refused("not_mandated", _("No mandate of this client was in force at that time."), field="on_behalf_of")
    return mandate.client


def _of_test(request: Request, visit: Visit, number: PhoneNumber, said: dict[str, Any]) -> dict[str, Any]:
    """Everything is looked at, and nothing is kept."""
    idempotency.demand_key(request)
    actions.demand_lodgeable(said["said_at"], visit.at)
    against = _against(visit, said)
    testmode.rule([number], visit.at, ["number"])
    client = against.credit_code if against != visit.firm else None
    return _shown(number, min(said["said_at"], visit.at), client, visit.at)


def _shown(number: PhoneNumber, said_at: datetime, client: str | None, lodged_at: datetime) -> dict[str, Any]:
    return {
        "number": number.e164,
        "said_at": clock.iso(said_at),
        "on_behalf_of": client,
        "lodged_at": clock.iso(lodged_at),
    }
