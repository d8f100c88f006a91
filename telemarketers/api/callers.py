"""Who is this number? The public look-up of a calling number."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dncregistry.errors import NotFound
from dncregistry.schema import problems
from record import clock, plan
from record.numbers import NumberRefused, PhoneNumber, parse_caller
from telemarketers import ratelimit
from telemarketers.models import CallingNumber, Licence, Sanction
from telemarketers.standing import name_of_standing


class CallerFirm(serializers.Serializer[Any]):
    name = serializers.CharField()
    credit_code = serializers.CharField()


class CallerRange(serializers.Serializer[Any]):
    kind = serializers.ChoiceField([kind.value for kind in plan.Kind])
    name = serializers.CharField(help_text="In the language of the request.")
    carrier = serializers.CharField(allow_blank=True)


class Caller(serializers.Serializer[Any]):
    number = serializers.CharField()
    display_name = serializers.CharField(allow_blank=True)
    firm = CallerFirm(allow_null=True)
    purposes = serializers.ListField(child=serializers.CharField(), help_text="What the firm is licensed for.")
    standing = serializers.ChoiceField(["good", "suspended", "barred", "not_approved"], allow_null=True)
    range = CallerRange()


class CallerView(APIView):
    http_method_names = ("get", "head")

    @extend_schema(
        operation_id="callers_retrieve",
        tags=["public"],
        summary="Who is this number?",
        description="Firms' calling numbers and service codes only; a subscriber's number never belongs in an address.",
        parameters=[OpenApiParameter("number", str, OpenApiParameter.PATH, description="`95588`, `01065529988`")],
        responses={200: Caller, **problems(400, 404, 429, 503)},
        auth=[],
        examples=[
            OpenApiExample(
                "a registered number",
                value={
                    "number": "+861065529988",
                    "display_name": "示范金融",
                    "firm": {"name": "示范金融商贸有限公司", "credit_code": "91110000MA0000001L"},
                    "purposes": ["loan_finance"],
                    "standing": "good",
                    "range": {"kind": "fixed", "name": "固定电话", "carrier": ""},
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
    )
    def get(self, request: Request, number: str) -> Response:
        allowance = ratelimit.spend("callers", ratelimit.address(request))
        at = clock.now()
        try:
            caller = parse_caller(number)
        except NumberRefused as error:
            raise _unknown() from error
        registered = CallingNumber.objects.in_force(at).filter(number=caller.text).select_related("firm").first()
        if registered is None and isinstance(caller, PhoneNumber):
            raise _unknown()
        kind = plan.kind_of(caller)
        found: dict[str, Any] = {
            "number": caller.text,
            "display_name": "",
            "firm": None,
            "purposes": [],
            "standing": None,
            "range": {"kind": kind.kind.value, "name": str(plan.KIND_NAMES[kind.kind]), "carrier": kind.carrier},
        }
        if registered is not None:
            firm = registered.firm
            steps = [*firm.sanctions.in_force(at), *Sanction.objects.on_caller(caller.text).in_force(at)]
            found |= {
                "display_name": registered.display_name,
                "firm": {"name": firm.name, "credit_code": firm.credit_code},
                "purposes": sorted(Licence.objects.in_force(at).filter(firm=firm).values_list("purpose_id", flat=True)),
                "standing": name_of_standing(
                    approved=firm.approvals.in_force(at).exists(), steps=[sanction.step for sanction in steps]
                ),
            }
        return Response(found, headers=allowance.headers())


def _unknown() -> NotFound:
    return NotFound("caller_unknown", _("No firm has registered this calling number. Be careful with such calls."))
