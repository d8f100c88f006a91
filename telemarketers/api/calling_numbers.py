"""The numbers that a firm calls from, and those that wait for the regulator."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dncregistry import lists
from dncregistry.lists import Page, WordFilter
from dncregistry.wire import NumberText, StrictSerializer
from record import clock
from telemarketers import doors, idempotency
from telemarketers.actions import firms
from telemarketers.api import account
from telemarketers.api.account import SUBMITTED, Nothing, OfAccount
from telemarketers.doors import PlainText, Visit
from telemarketers.models import CallingNumber


class CallingNumberRequest(StrictSerializer):
    number = NumberText(help_text="A fixed line or a service number; private mobile numbers are refused.")
    display_name = PlainText(required=False, default="", allow_blank=True, max_length=100)


class CallingNumberShown(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    number = serializers.CharField(help_text="E.164, or the digits of a service code.")
    display_name = serializers.CharField(allow_blank=True)
    status = serializers.ChoiceField(SUBMITTED)
    submitted_at = serializers.DateTimeField()
    starts = serializers.DateTimeField(allow_null=True)
    ends = serializers.DateTimeField(allow_null=True)


class CallingNumberPage(Page):
    results = CallingNumberShown(many=True)


CALLING_NUMBER: dict[str, Any] = {
    "id": 7,
    "number": "+861065529977",
    "display_name": "示范金融",
    "status": "waiting",
    "submitted_at": "2026-11-23T02:00:00.000000Z",
    "starts": None,
    "ends": None,
}


class CallingNumberFilters(OfAccount):
    status = WordFilter(*SUBMITTED, method="of_status")


class CallingNumbersView(APIView):
    http_method_names = ("get", "head", "post")

    @extend_schema(
        operation_id="calling_numbers_list",
        tags=["account"],
        summary="Our calling numbers",
        parameters=[OpenApiParameter("status", str, enum=SUBMITTED), account.IN_FORCE_AT, *lists.PARAMETERS],
        responses={200: CallingNumberPage, **account.READ},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("one waits", value={"results": [CALLING_NUMBER], "next": None}, status_codes=["200"]),
        ],
    )
    def get(self, request: Request) -> Response:
        return account.listed(
            request, CallingNumberFilters, lambda firm: CallingNumber.objects.filter(firm=firm), _calling_number
        )

    @extend_schema(
        operation_id="calling_numbers_create",
        tags=["account"],
        summary="We will call from this number",
        description="It waits for the regulator; calls from it are `caller_unregistered` until then.",
        parameters=[idempotency.HEADER],
        request=CallingNumberRequest,
        responses={201: CallingNumberShown, **account.CHANGE},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("a line", value={"number": "010 6552 9977", "display_name": "示范金融"}, request_only=True),
            OpenApiExample("it waits", value=CALLING_NUMBER, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        return account.changed(request, CallingNumberRequest, CallingNumber, _submit, _calling_number, 201)


class CallingNumberWithdrawView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="calling_numbers_withdraw",
        tags=["account"],
        summary="We no longer call from this number",
        parameters=[idempotency.HEADER],
        request=Nothing,
        responses={200: CallingNumberShown, **account.CHANGE_ONE},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("nothing to say", value={}, request_only=True),
            OpenApiExample(
                "withdrawn",
                value={**CALLING_NUMBER, "status": "withdrawn", "ends": "2026-11-24T02:00:00.000000Z"},
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request, pk: int) -> Response:
        def withdraw(visit: Visit, _said: dict[str, Any]) -> CallingNumber:
            row: CallingNumber = doors.own(CallingNumber.objects.filter(firm=visit.firm), pk=pk)
            firms.withdraw_calling_number(calling_number=row, by=visit.actor, at=visit.at)
            return row

        return account.changed(request, Nothing, CallingNumber, withdraw, _calling_number)


def _submit(visit: Visit, said: dict[str, Any]) -> CallingNumber:
    return firms.submit_calling_number(
        firm=visit.firm,
        number=doors.caller(said["number"], "number"),
        display_name=said["display_name"],
        by=visit.actor,
        at=visit.at,
    )


def _calling_number(row: CallingNumber, visit: Visit) -> dict[str, Any]:
    return {
        "id": row.pk,
        "number": row.number,
        "display_name": row.display_name,
        "status": SUBMITTED.of(row, visit.at),
        "submitted_at": clock.iso(row.submitted_at),
        **account.dates(row),
    }
