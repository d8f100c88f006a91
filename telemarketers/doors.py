"""How a firm's system comes in at any door of the API: its key and what that key may do, its share of the limits, and
what it sends.

A door that changes something opens a transaction first and asks for the time inside it. On SQLite the stamp is then
taken when it is the door's turn to write, not while it waits for another; and key, limit, effect and the memory of an
`Idempotency-Key` stand or fall together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request

from dncregistry.errors import NotFound
from dncregistry.lists import refuse_unknown
from dncregistry.wire import Text, demand_length
from record import clock
from record.ledger import Actor
from record.masking import mask_numbers
from record.numbers import NumberRefused, PhoneNumber, ServiceCode, parse_caller
from record.terms import ActorKind
from telemarketers import credentials, ratelimit
from telemarketers.models import Credential, Firm
from telemarketers.terms import Mode, Scope

# What the API's description says of a door that needs a key.
KEY: list[dict[str, list[str]]] = [{"key": []}]

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Visit:
    """A firm's system that has been let in, at an instant of the database's clock."""

    credential: Credential
    at: datetime
    headers: dict[str, str]  # what is left of the firm's limit

    @property
    def firm(self) -> Firm:
        return self.credential.firm

    @property
    def actor(self) -> Actor:
        return Actor(ActorKind.FIRM, self.credential.firm_id)

    @property
    def is_test(self) -> bool:
        return self.credential.mode == Mode.TEST

    def demand_live(self) -> None:
        """What a test key changed would be changed for everybody."""
        if self.is_test:
            raise credentials.Forbidden(
                "live_key_needed", _("A test key changes nothing. Use a live key for this, or only read with this one.")
            )


def enter(request: Request, *scopes: Scope) -> Visit:
    """Lets in a key that has one of the scopes, at the cost of one of its firm's `account` limit."""
    at = clock.now()
    credential = authenticated(request, *scopes, at=at)
    allowance = ratelimit.spend("account", who(credential))
    return Visit(credential, at, allowance.headers())


def authenticated(request: Request, *scopes: Scope, at: datetime) -> Credential:
    """The credential of the request's key, which must have one of the scopes."""
    key = credentials.presented(request.META.get("HTTP_AUTHORIZATION", ""))
    credential = credentials.authenticate(key, at)
    credentials.demand_scope(credential, *scopes)
    return credential


def who(credential: Credential) -> str:
    """Whom a limit counts: a firm, its test keys apart from its live ones."""
    return f"{credential.mode}:{credential.firm_id}"


def read(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """What the body says; nothing is taken from the address."""
    demand_length(request._request)
    refuse_unknown(request.query_params, ())
    form = serializer(data=request.data)
    form.is_valid(raise_exception=True)
    data: dict[str, Any] = form.validated_data
    return data


def own(rows: QuerySet[Row], **key: Any) -> Row:
    """The one of the firm's `rows` that an address names. What is not among them does not exist (law 5)."""
    found = rows.filter(**key).first()
    if found is None:
        raise NotFound("not_found", _("Your firm has nothing of that name here. The list shows what it has."))
    return found


def number(text: str, field: str = "number") -> PhoneNumber:
    try:
        return PhoneNumber.parse(text)
    except NumberRefused as error:
        raise NumberRefused(error.code, field=field) from error


def caller(text: str, field: str) -> PhoneNumber | ServiceCode:
    try:
        return parse_caller(text)
    except NumberRefused as error:
        raise NumberRefused(error.code, field=field) from error


class PlainText(Text):
    """Text that is kept as it is written, so there must be no subscriber's number in it (law 8)."""

    default_error_messages = {
        "number_in_text": _(
            "This could hold a telephone number. Leave numbers out; write large figures with commas, as in 1,000,000."
        )
    }

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if mask_numbers(text) != text:
            self.fail("number_in_text")
        return text
