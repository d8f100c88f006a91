"""A firm looks for its own authorizations. In a body, since a subscriber's number never belongs in an address."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consents import testmode
from consents.models import Authorization
from consents.terms import AuthorizationStatus
from dncregistry import lists
from dncregistry.lists import Page, PageTerms
from dncregistry.schema import problems
from dncregistry.wire import AwareDateTimeField, Choice, NumberText, StrictSerializer, Text
from record import clock, stored_numbers
from record.numbers import PhoneNumber
from record.pseudonyms import Pseudonymizer
from telemarketers import doors
from telemarketers.actions.firms import matter_named, purpose_named
from telemarketers.doors import Visit
from telemarketers.terms import ALL_CHANNELS, Channel, Scope

CHANNELS = [channel.label for channel in ALL_CHANNELS]


class SearchRequest(StrictSerializer, PageTerms):
    number = NumberText(required=False, allow_null=True)
    matter = Text(required=False, allow_null=True, max_length=50)
    purpose = Text(required=False, allow_null=True, max_length=30)
    status = Choice(AuthorizationStatus.choices, required=False, allow_null=True)
    updated_since = AwareDateTimeField(
        required=False, allow_null=True, help_text="Granted, ended or expired at this instant or later."
    )


class AuthorizationShown(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    number = serializers.CharField(help_text="E.164.")
    purpose = serializers.CharField()
    matter = serializers.CharField(allow_null=True, help_text="null: the purpose as a whole.")
    channels = serializers.ListField(child=serializers.ChoiceField(CHANNELS))
    starts = serializers.DateTimeField()
    ends = serializers.DateTimeField(help_text="When it will end, or ended.")
    status = serializers.ChoiceField(AuthorizationStatus.choices)
    wording = serializers.IntegerField(allow_null=True, help_text="The version of the matter's wording agreed to.")


class AuthorizationPage(Page):
    results = AuthorizationShown(many=True)
    as_of = serializers.DateTimeField(help_text="The instant that the statuses are of.")


class AuthorizationsSearchView(APIView):
    http_method_names = ("post",)

    @extend_schema(
        operation_id="authorizations_search",
        tags=["authorizations"],
        summary="Who has authorized us?",
        description="The firm's own authorizations, newest first. Before a call, check all the same.",
        request=SearchRequest,
        responses={200: AuthorizationPage, **problems(400, 401, 403, 411, 413, 415, 422, 429, 503)},
        auth=doors.KEY,  # type: ignore[arg-type]
        examples=[
            OpenApiExample("those in force", value={"matter": "spring-loan", "status": "in_force"}, request_only=True),
            OpenApiExample(
                "one",
                value={
                    "results": [
                        {
                            "id": 41,
                            "number": "+8613800138000",
                            "purpose": "loan_finance",
                            "matter": "spring-loan",
                            "channels": ["voice"],
                            "starts": "2026-11-23T02:00:00.000000Z",
                            "ends": "2027-05-23T16:00:00Z",
                            "status": "in_force",
                            "wording": 1,
                        }
                    ],
                    "next": None,
                    "as_of": "2026-11-23T02:00:00.000000Z",
                },
                response_only=True,
                status_codes=["200"],
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        visit = doors.enter(request, Scope.AUTHORIZATIONS)
        asked = doors.read(SearchRequest, request)
        number = None if asked.get("number") is None else doors.number(asked["number"])
        page, following = (_of_test if visit.is_test else _page)(visit, asked, number)
        return Response(
            {"results": page, "next": following, "as_of": clock.iso(visit.at)},
            headers=visit.headers,
        )


def _page(visit: Visit, asked: dict[str, Any], number: PhoneNumber | None) -> tuple[list[dict[str, Any]], str | None]:
    rows: Any = Authorization.objects.filter(firm=visit.firm).select_related("holding__number", "matter", "wording")
    if number is not None:
        rows = rows.filter(holding__number=stored_numbers.find(number))
    if asked.get("matter"):
        rows = rows.filter(matter=matter_named(visit.firm, asked["matter"]))
    if asked.get("purpose"):
        rows = rows.filter(purpose=purpose_named(asked["purpose"]))
    if asked.get("status"):
        rows = rows.of_status(asked["status"], visit.at)
    if asked.get("updated_since"):
        rows = rows.changed_between(asked["updated_since"], visit.at)
    if asked.get("cursor"):
        rows = lists.below(rows, asked["cursor"])
    page, following = lists.page(rows, asked["limit"])
    pseudonymizer = stored_numbers.pseudonymizer()
    return [_shown(row, visit.at, pseudonymizer) for row in page], following


def _shown(row: Authorization, at: datetime, pseudonymizer: Pseudonymizer) -> dict[str, Any]:
    number = row.holding.number
    return {
        "id": row.pk,
        "number": pseudonymizer.reveal(number.key, bytes(number.pseudonym)).e164,
        "purpose": row.purpose_id,
        "matter": row.matter.code if row.matter else None,
        "channels": [channel.label for channel in Channel(row.channels)],
        "starts": clock.iso(row.starts),
        "ends": clock.iso(row.ends),
        "status": row.status(at),
        "wording": row.wording.version if row.wording else None,
    }


def _of_test(
    visit: Visit, asked: dict[str, Any], number: PhoneNumber | None
) -> tuple[list[dict[str, Any]], str | None]:
    """What the test numbers stand for, about the matter or purpose asked for. No subscriber's table is read."""
    matter = matter_named(visit.firm, asked["matter"]) if asked.get("matter") else None
    purpose = purpose_named(asked["purpose"]).code if asked.get("purpose") else None
    if number is not None:
        testmode.rule([number], visit.at, ["number"])
    since, last = asked.get("updated_since"), lists.last_of(asked["cursor"]) if asked.get("cursor") else None
    rows = (
        row
        for row in testmode.authorizations(visit.at)
        if number in (None, row.number)
        and asked.get("status") in (None, row.status)
        and (since is None or since <= row.starts or since <= row.ends <= visit.at)
        and (last is None or row.pk < last)
    )
    page, following = lists.cut(islice(rows, asked["limit"] + 1), asked["limit"])
    about = matter.purpose_id if matter else purpose or "loan_finance"
    return [
        {
            "id": row.pk,
            "number": row.number.e164,
            "purpose": about,
            "matter": matter.code if matter else None,
            "channels": [Channel.VOICE.label],
            "starts": clock.iso(row.starts),
            "ends": clock.iso(row.ends),
            "status": row.status,
            "wording": 1 if matter else None,
        }
        for row in page
    ], following
