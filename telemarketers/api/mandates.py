"""For whom a firm calls, and who calls for it: proposed by the one, confirmed by the other, ended by either."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dncregistry import lists
from dncregistry.errors import Refused
from dncregistry.lists import Page, WordFilter
from dncregistry.wire import StrictSerializer, Text
from record import clock
from telemarketers import doors, idempotency
from telemarketers.actions import firms
from telemarketers.api import account
from telemarketers.api.account import PROPOSED, Nothing, OfAccount
from telemarketers.doors import Visit
from telemarketers.models import Firm, Mandate


class MandateRequest(StrictSerializer):
    client = Text(max_length=18, help_text="Credit code of the firm that we are to call for.")


class FirmShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    credit_code = serializers.CharField()


class MandateShown(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    agent = FirmShown(help_text="Who calls.")
    client = FirmShown(help_text="For whom.")
    status = serializers.ChoiceField(PROPOSED)
    proposed_at = serializers.DateTimeField()
    starts = serializers.DateTimeField(allow_null=True)
    ends = serializers.DateTimeField(allow_null=True)


class MandatePage(Page):
    results = MandateShown(many=True)


MANDATE: dict[str, Any] = {
    "id": 3,
    "agent": {"name": "示范金融商贸有限公司", "credit_code": "91110000MA0000001L"},
    "client": {"name": "示范商店有限公司", "credit_code": "91310000MA1FL0001R"},
    "status": "proposed",
    "proposed_at": "2026-11-23T02:00:00.000000Z",
    "starts": None,
    "ends": None,
}
CONFIRMED = {**MANDATE, "status": "in_force", "starts": "2026-11-24T02:00:00.000000Z"}


class MandateFilters(OfAccount):
    status = WordFilter(*PROPOSED, method="of_status")

    words = PROPOSED


class MandatesView(APIView):
    http_method_names = ("get", "head", "post")

    @extend_schema(
        operation_id="mandates_list",
        tags=["account"],
        summary="Mandates that we hold or give",
        parameters=[OpenApiParameter("status", str, enum=PROPOSED), account.IN_FORCE_AT, *lists.PARAMETERS],
        responses={200: MandatePage, **account.READ},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[OpenApiExample("one proposed", value={"results": [MANDATE], "next": None}, status_codes=["200"])],
    )
    def get(self, request: Request) -> Response:
        return account.listed(request, MandateFilters, _mandates_of, _mandate)

    @extend_schema(
        operation_id="mandates_create",
        tags=["account"],
        summary="We are to call for this client",
        description="It is in force once the client confirms it.",
        parameters=[idempotency.HEADER],
        request=MandateRequest,
        responses={201: MandateShown, **account.CHANGE},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("a client", value={"client": "91310000MA1FL0001R"}, request_only=True),
            OpenApiExample("proposed", value=MANDATE, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        return account.changed(request, MandateRequest, Mandate, _propose, _mandate, 201)


class MandateConfirmView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="mandates_confirm",
        tags=["account"],
        summary="They may call for us",
        description="For the client only.",
        parameters=[idempotency.HEADER],
        request=Nothing,
        responses={200: MandateShown, **account.CHANGE_ONE},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("nothing to say", value={}, request_only=True),
            OpenApiExample("in force", value=CONFIRMED, response_only=True, status_codes=["200"]),
        ],
    )
    def post(self, request: Request, pk: int) -> Response:
        def confirm(visit: Visit, _said: dict[str, Any]) -> Mandate:
            row: Mandate = doors.own(Mandate.objects.filter(client=visit.firm), pk=pk)
            firms.confirm_mandate(mandate=row, by=visit.actor, at=visit.at)
            return row

        return account.changed(request, Nothing, Mandate, confirm, _mandate)


class MandateEndView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="mandates_end",
        tags=["account"],
        summary="This mandate is over",
        description="For either side; for what is only proposed too.",
        parameters=[idempotency.HEADER],
        request=Nothing,
        responses={200: MandateShown, **account.CHANGE_ONE},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("nothing to say", value={}, request_only=True),
            OpenApiExample(
                "over",
                value={**CONFIRMED, "status": "ended", "ends": "2026-11-25T02:00:00.000000Z"},
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request, pk: int) -> Response:
        def end(visit: Visit, _said: dict[str, Any]) -> Mandate:
            row: Mandate = doors.own(_mandates_of(visit.firm), pk=pk)
            firms.end_mandate(mandate=row, by=visit.actor, at=visit.at)
            return row

        return account.changed(request, Nothing, Mandate, end, _mandate)


def _mandates_of(firm: Firm) -> QuerySet[Mandate]:
    return Mandate.objects.filter(Q(agent=firm) | Q(client=firm)).select_related("agent", "client")


def _propose(visit: Visit, said: dict[str, Any]) -> Mandate:
    code = firms.valid_credit_code(said["client"], field="client")
    client = Firm.objects.filter(credit_code=code).first()
    if client is None:
        raise Refused("unknown_client", _("No firm has registered under this credit code."), field="client")
    return firms.propose_mandate(agent=visit.firm, client=client, by=visit.actor, at=visit.at)


def _mandate(row: Mandate, visit: Visit) -> dict[str, Any]:
    return {
        "id": row.pk,
        "agent": {"name": row.agent.name, "credit_code": row.agent.credit_code},
        "client": {"name": row.client.name, "credit_code": row.client.credit_code},
        "status": PROPOSED.of(row, visit.at),
        "proposed_at": clock.iso(row.proposed_at),
        **account.dates(row),
    }
