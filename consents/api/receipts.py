"""What a receipt is verified with, and what one row of a batch said."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consents import receipts, testmode, told
from consents.terms import Reason, Verdict
from consents.told import Told
from dncregistry.errors import NotFound
from dncregistry.schema import problems
from dncregistry.wire import NumberText, StrictSerializer
from record import clock
from record.numbers import PhoneNumber
from record.rotation import KEY_SET_MAX_AGE
from telemarketers import doors
from telemarketers.terms import ALL_CHANNELS, Channel, Scope


class ConfirmRequest(StrictSerializer):
    jti = serializers.UUIDField(help_text="`jti` of the receipt; `id` of the check or batch.")
    number = NumberText(help_text="The number that the receipt is to be about.")


class Confirmed(serializers.Serializer[Any]):
    jti = serializers.UUIDField()
    number = serializers.CharField(help_text="E.164.")
    verdict = serializers.ChoiceField(Verdict.choices)
    reason = serializers.ChoiceField(Reason.choices)
    checked_at = serializers.DateTimeField()
    for_time = serializers.DateTimeField()
    valid_until = serializers.DateTimeField(help_text="Of the whole answer.")
    caller = serializers.CharField(allow_null=True)
    purpose = serializers.CharField(allow_null=True)
    matter = serializers.CharField(allow_null=True)
    channel = serializers.ChoiceField([channel.label for channel in ALL_CHANNELS], allow_null=True)
    policy = serializers.CharField()


class ConfirmView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="receipts_confirm",
        tags=["checks"],
        summary="What did this receipt say about this number?",
        description="For the firm that asked and the one that it asked for, while the record lasts.",
        request=ConfirmRequest,
        responses={200: Confirmed, **problems(400, 401, 403, 404, 411, 413, 415, 422, 429, 503)},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample(
                "a row of a batch",
                value={"jti": "019abcde-0000-7000-8000-000000000001", "number": "138 0013 8000"},
                request_only=True,
            ),
            OpenApiExample(
                "allowed",
                value={
                    "jti": "019abcde-0000-7000-8000-000000000001",
                    "number": "+8613800138000",
                    "verdict": "allow",
                    "reason": "authorized",
                    "checked_at": "2026-11-23T02:00:00.000000Z",
                    "for_time": "2026-11-23T02:00:00.000000Z",
                    "valid_until": "2026-11-23T02:15:00.000000Z",
                    "caller": "+861065529988",
                    "purpose": "loan_finance",
                    "matter": "spring-loan",
                    "channel": "voice",
                    "policy": "china-1",
                },
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        visit = doors.enter(request, Scope.CHECK, Scope.BATCH)
        asked = doors.read(ConfirmRequest, request)
        jti, number = asked["jti"], doors.number(asked["number"])
        if visit.is_test:
            return Response(_of_test(jti, number, visit.at), headers=visit.headers)
        found = told.find(jti, number, visit.firm)
        if found is None:
            raise NotFound(
                "receipt_unknown",
                _("There is no record of this receipt with this number that is yours, or it is too old."),
            )
        return Response(_of_record(number, found), headers=visit.headers)


class KeySetView(APIView):
    http_method_names = ("get", "head")

    @extend_schema(
        operation_id="receipt_keys",
        tags=["public"],
        summary="The public keys of receipts",
        description="A JWK set (RFC 7517). Retired keys stay: a receipt is evidence for years.",
        responses={200: dict[str, Any]},
        auth=[],
    )
    def get(self, request: Request) -> Response:
        max_age = int(KEY_SET_MAX_AGE.total_seconds())
        return Response(receipts.jwk_set(), headers={"Cache-Control": f"public, max-age={max_age}"})


def _of_record(number: PhoneNumber, found: Told) -> dict[str, Any]:
    record = found.record
    return {
        "jti": str(record.pk),
        "number": number.e164,
        "verdict": found.verdict,
        "reason": found.reason,
        "checked_at": clock.iso(record.checked_at),
        "for_time": clock.iso(record.for_time),
        "valid_until": clock.iso(record.valid_until),
        "caller": found.caller,
        "purpose": record.purpose_id,
        "matter": record.matter.code if record.matter else None,
        "channel": Channel(record.channel).label,
        "policy": record.policy.version,
    }


def _of_test(jti: UUID, number: PhoneNumber, at: datetime) -> dict[str, Any]:
    """Nothing is recorded for a test key, so nothing is looked up: the number stands for its answer, as ever."""
    (ruling,) = testmode.rule([number], at, ["number"])
    return {
        "jti": str(jti),
        "number": number.e164,
        "verdict": ruling.verdict,
        "reason": ruling.reason,
        "checked_at": clock.iso(at),
        "for_time": clock.iso(at),
        "valid_until": clock.iso(ruling.valid_until),
        "caller": None,
        "purpose": None,
        "matter": None,
        "channel": None,
        "policy": testmode.POLICY,
    }
