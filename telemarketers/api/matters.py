"""The concrete things that a firm wants to call about (事项), and those that wait for the regulator."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dncregistry import lists
from dncregistry.lists import Page, WordFilter
from dncregistry.wire import StrictSerializer, Text
from record import clock
from telemarketers import doors, idempotency
from telemarketers.actions import firms
from telemarketers.api import account
from telemarketers.api.account import SUBMITTED, Nothing, OfAccount
from telemarketers.doors import PlainText, Visit
from telemarketers.models import Firm, Matter


class MatterRequest(StrictSerializer):
    code = PlainText(max_length=50, help_text="Of your choosing; it names the matter in checks.")
    purpose = Text(max_length=30)
    title = PlainText(max_length=100)
    wording = PlainText(max_length=5000, help_text="The exact text that is put to the citizen.")

    def validate_code(self, code: str) -> str:
        serializers.SlugField().run_validation(code)
        return code


class WordingShown(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    text = serializers.CharField()
    at = serializers.DateTimeField()


class MatterShown(serializers.Serializer[Any]):
    code = serializers.CharField()
    purpose = serializers.CharField()
    title = serializers.CharField()
    status = serializers.ChoiceField(SUBMITTED)
    wording = WordingShown(help_text="Its latest version.")
    submitted_at = serializers.DateTimeField()
    starts = serializers.DateTimeField(allow_null=True)
    ends = serializers.DateTimeField(allow_null=True)


class MatterPage(Page):
    results = MatterShown(many=True)


SUBMITTED_MATTER: dict[str, Any] = {
    "code": "autumn-loan",
    "purpose": "loan_finance",
    "title": "秋季贷款优惠",
    "wording": "我们想打电话向您介绍秋季贷款优惠。您随时可以撤回同意。",
}
MATTER: dict[str, Any] = {
    **SUBMITTED_MATTER,
    "status": "waiting",
    "wording": {"version": 1, "text": SUBMITTED_MATTER["wording"], "at": "2026-11-23T02:00:00.000000Z"},
    "submitted_at": "2026-11-23T02:00:00.000000Z",
    "starts": None,
    "ends": None,
}


class MatterFilters(OfAccount):
    status = WordFilter(*SUBMITTED, method="of_status")
    purpose = django_filters.CharFilter(field_name="purpose_id")


class MattersView(APIView):
    http_method_names = ("get", "head", "post")

    @extend_schema(
        operation_id="matters_list",
        tags=["account"],
        summary="Our matters",
        parameters=[
            OpenApiParameter("status", str, enum=SUBMITTED),
            OpenApiParameter("purpose", str),
            account.IN_FORCE_AT,
            *lists.PARAMETERS,
        ],
        responses={200: MatterPage, **account.READ},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[OpenApiExample("one waits", value={"results": [MATTER], "next": None}, status_codes=["200"])],
    )
    def get(self, request: Request) -> Response:
        return account.listed(request, MatterFilters, _matters_of, _matter)

    @extend_schema(
        operation_id="matters_create",
        tags=["account"],
        summary="We want to call about this",
        description="It waits for the regulator. A material change of its wording is a new matter.",
        parameters=[idempotency.HEADER],
        request=MatterRequest,
        responses={201: MatterShown, **account.CHANGE},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("a loan offer", value=SUBMITTED_MATTER, request_only=True),
            OpenApiExample("it waits", value=MATTER, response_only=True, status_codes=["201"]),
        ],
    )
    def post(self, request: Request) -> Response:
        return account.changed(request, MatterRequest, Matter, _submit, _matter, 201)


class MatterWithdrawView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="matters_withdraw",
        tags=["account"],
        summary="We no longer call about this",
        parameters=[idempotency.HEADER],
        request=Nothing,
        responses={200: MatterShown, **account.CHANGE_ONE},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("nothing to say", value={}, request_only=True),
            OpenApiExample(
                "withdrawn",
                value={**MATTER, "status": "withdrawn", "ends": "2026-11-24T02:00:00.000000Z"},
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request, code: str) -> Response:
        def withdraw(visit: Visit, _said: dict[str, Any]) -> Matter:
            row: Matter = doors.own(_matters_of(visit.firm), code=code)
            firms.withdraw_matter(matter=row, by=visit.actor, at=visit.at)
            return row

        return account.changed(request, Nothing, Matter, withdraw, _matter)


def _matters_of(firm: Firm) -> QuerySet[Matter]:
    return Matter.objects.filter(firm=firm).prefetch_related("wordings")


def _submit(visit: Visit, said: dict[str, Any]) -> Matter:
    return firms.submit_matter(
        firm=visit.firm,
        code=said["code"],
        purpose=firms.purpose_named(said["purpose"]),
        title=said["title"],
        wording=said["wording"],
        by=visit.actor,
        at=visit.at,
    )


def _matter(row: Matter, visit: Visit) -> dict[str, Any]:
    wording = max(row.wordings.all(), key=lambda each: each.version)
    return {
        "code": row.code,
        "purpose": row.purpose_id,
        "title": row.title,
        "status": SUBMITTED.of(row, visit.at),
        "wording": {"version": wording.version, "text": wording.text, "at": clock.iso(wording.at)},
        "submitted_at": clock.iso(row.submitted_at),
        **account.dates(row),
    }
