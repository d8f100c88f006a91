"""The firms' door to the ruling: single checks and batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consents import check
from consents.check import Answer, Asked
from consents.terms import Reason, Verdict
from dncregistry import metrics
from dncregistry.schema import problems
from dncregistry.wire import AwareDateTimeField, Choice, NumberText, StrictSerializer, Text
from record import clock
from telemarketers import doors, ratelimit
from telemarketers.actions.firms import valid_credit_code
from telemarketers.terms import ALL_CHANNELS, Channel, Scope

MOST_CALLEES = 1000

CHANNELS = [channel.label for channel in ALL_CHANNELS]


class CheckTerms(StrictSerializer):
    """What single checks and batches have in common."""

    caller = NumberText(help_text="The calling number that will be shown.")
    purpose = Text(required=False, allow_null=True, max_length=30, help_text="Or `matter`.")
    matter = Text(required=False, allow_null=True, max_length=50, help_text="Or `purpose`.")
    channel = Choice(CHANNELS)
    on_behalf_of = Text(
        required=False,
        allow_null=True,
        max_length=18,
        help_text="Credit code of the client that mandated the call.",
    )
    for_time = AwareDateTimeField(
        required=False,
        allow_null=True,
        help_text="The instant to rule on, at most 24 hours ahead. Default: now.",
    )
    client_ref = Text(required=False, allow_null=True, allow_blank=True, max_length=100)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs.get("purpose")) == bool(attrs.get("matter")):
            raise serializers.ValidationError(
                {"purpose": [_("Name either a purpose or a matter: one of them, not both.")]},
                code="purpose_or_matter",
            )
        return attrs


class CheckRequest(CheckTerms):
    callee = NumberText(help_text="The number to be dialled, as it stands in your list.")


class BatchRequest(CheckTerms):
    callees = serializers.ListField(child=NumberText(), min_length=1, max_length=MOST_CALLEES)


class CheckResult(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    verdict = serializers.ChoiceField(Verdict.choices)
    reason = serializers.ChoiceField(Reason.choices)
    detail = serializers.CharField(required=False, help_text="Why, more closely, where there is more to say.")
    callee = serializers.CharField(help_text="E.164; as asked if it is no number.")
    caller = serializers.CharField()
    purpose = serializers.CharField(allow_null=True)
    matter = serializers.CharField(allow_null=True)
    channel = serializers.ChoiceField(CHANNELS)
    policy = serializers.CharField(help_text="Version of the policy ruled by.")
    checked_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField(help_text="An allow covers calls begun before this instant.")
    client_ref = serializers.CharField(allow_null=True)
    receipt = serializers.CharField(help_text="JWS (EdDSA); its keys are at /.well-known/jwks.json.")


class BatchRow(serializers.Serializer[Any]):
    callee = serializers.CharField(help_text="As asked.")
    number = serializers.CharField(allow_null=True, help_text="E.164; null if it is no number.")
    verdict = serializers.ChoiceField(Verdict.choices)
    reason = serializers.ChoiceField(Reason.choices)


class BatchResult(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    checked_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField()
    policy = serializers.CharField()
    results = BatchRow(many=True, help_text="In the order asked.")
    receipt = serializers.CharField()


TERMS_EXAMPLE = {"caller": "010 6552 9988", "purpose": "loan_finance", "channel": "voice"}


class ChecksView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="checks_create",
        tags=["checks"],
        summary="May I call this number?",
        description="A block is an answer (200), not an error. The record is kept before the answer is given.",
        request=CheckRequest,
        responses={200: CheckResult, **problems(400, 401, 403, 411, 413, 415, 422, 429, 503)},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("a loan offer", value={"callee": "138 0013 8000", **TERMS_EXAMPLE}, request_only=True),
            OpenApiExample(
                "not without authorization",
                value={
                    "id": "019abcde-0000-7000-8000-000000000000",
                    "verdict": "block",
                    "reason": "no_authorization",
                    "callee": "+8613800138000",
                    "caller": "+861065529988",
                    "purpose": "loan_finance",
                    "matter": None,
                    "channel": "voice",
                    "policy": "china-1",
                    "checked_at": "2026-11-23T02:00:00.000000Z",
                    "valid_until": "2026-11-23T02:15:00.000000Z",
                    "client_ref": None,
                    "receipt": "eyJhbGciOiJFZERTQSIsImtpZCI6ImxpdmUtMSJ9.…",
                },
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        with transaction.atomic():  # on SQLite the stamp is taken when it is our turn, not while we wait for it
            at = clock.now()
            credential = doors.authenticated(request, Scope.CHECK, at=at)
            allowance = ratelimit.spend("checks", doors.who(credential))
            data = doors.read(CheckRequest, request)
            answer = check.check(_asked(data), check.read_callee(data["callee"]), credential=credential, at=at)
        _count(answer)
        return Response(_told_of_one(answer), headers=allowance.headers())


class BatchView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="checks_batch_create",
        tags=["checks"],
        summary="May I call these numbers?",
        description="1 to 1,000 numbers, ruled on at one instant, with one receipt over all rows.",
        request=BatchRequest,
        responses={200: BatchResult, **problems(400, 401, 403, 411, 413, 415, 422, 429, 503)},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample(
                "two numbers",
                value={"callees": ["138 0013 8000", "12345"], **TERMS_EXAMPLE},
                request_only=True,
            ),
            OpenApiExample(
                "one allowed, one no number",
                value={
                    "id": "019abcde-0000-7000-8000-000000000001",
                    "checked_at": "2026-11-23T02:00:00.000000Z",
                    "valid_until": "2026-11-23T02:15:00.000000Z",
                    "policy": "china-1",
                    "results": [
                        {
                            "callee": "138 0013 8000",
                            "number": "+8613800138000",
                            "verdict": "allow",
                            "reason": "authorized",
                        },
                        {"callee": "12345", "number": None, "verdict": "block", "reason": "invalid_number"},
                    ],
                    "receipt": "eyJhbGciOiJFZERTQSIsImtpZCI6ImxpdmUtMSJ9.…",
                },
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        with transaction.atomic():
            at = clock.now()
            credential = doors.authenticated(request, Scope.BATCH, at=at)
            data = doors.read(BatchRequest, request)
            allowance = ratelimit.spend("batch_numbers", doors.who(credential), cost=len(data["callees"]), bulk=True)
            callees = [check.read_callee(text, f"callees[{index}]") for index, text in enumerate(data["callees"])]
            answer = check.check_batch(_asked(data), callees, credential=credential, at=at)
        _count(answer)
        return Response(_told_of_batch(answer), headers=allowance.headers())


def _asked(data: Mapping[str, Any]) -> Asked:
    client = data.get("on_behalf_of")
    return Asked(
        caller=doors.caller(data["caller"], "caller"),
        purpose=data.get("purpose") or "",
        matter=data.get("matter") or "",
        channel=Channel.named(data["channel"]),
        on_behalf_of=valid_credit_code(client, field="on_behalf_of") if client else "",
        for_time=data.get("for_time"),
        client_ref=data.get("client_ref") or "",
    )


def _count(answer: Answer) -> None:
    metrics.count_answers(answer.mode, [(ruling.verdict, ruling.reason) for ruling in answer.rulings])


def _told_of_one(answer: Answer) -> dict[str, Any]:
    callee, ruling, asked = answer.callees[0], answer.rulings[0], answer.asked
    return {
        "id": str(answer.id),
        "verdict": ruling.verdict,
        "reason": ruling.reason,
        **({"detail": ruling.detail} if ruling.detail else {}),
        "callee": callee.number.e164 if callee.number else callee.spelled,
        "caller": asked.caller.text,
        "purpose": answer.purpose or None,
        "matter": asked.matter or None,
        "channel": asked.channel.label,
        "policy": answer.policy,
        "checked_at": clock.iso(answer.checked_at),
        "valid_until": clock.iso(answer.valid_until),
        "client_ref": asked.client_ref or None,
        "receipt": check.receipt_of_one(answer),
    }


def _told_of_batch(answer: Answer) -> dict[str, Any]:
    return {
        "id": str(answer.id),
        "checked_at": clock.iso(answer.checked_at),
        "valid_until": clock.iso(answer.valid_until),
        "policy": answer.policy,
        "results": [
            {
                "callee": callee.spelled,
                "number": callee.number.e164 if callee.number else None,
                "verdict": ruling.verdict,
                "reason": ruling.reason,
            }
            for callee, ruling in zip(answer.callees, answer.rulings, strict=True)
        ],
        "receipt": check.receipt_of_batch(answer),
    }
