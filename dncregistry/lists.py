"""How a list is asked for, and handed out in pages that miss and repeat nothing.

Newest first, by id, each page from below the last row of the one before: a row added meanwhile stands before the first
page and moves none. The cursor is that row's id in an opaque form, and never a number of anybody's.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

import django_filters
from django import forms
from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions, serializers

from dncregistry.errors import Refused
from dncregistry.wire import Text

MOST, USUAL = 100, 50  # rows of a page


class HasId(Protocol):
    @property
    def pk(self) -> Any: ...


Numbered = TypeVar("Numbered", bound=HasId)
Kept = TypeVar("Kept", bound=Model)


# --- what is asked for -------------------------------------------------------------------------------


class InstantField(forms.Field):
    """ISO 8601 with its offset."""

    def to_python(self, value: Any) -> Any:
        try:
            instant = parse_datetime(value) if value else None
        except ValueError:
            instant = None
        if value and instant is None:
            raise forms.ValidationError(_("Write an instant, as in 2026-11-22T01:30:00Z."), code="invalid")
        if instant is not None and timezone.is_naive(instant):
            raise forms.ValidationError(_("Write the offset too, as in 2026-11-22T01:30:00Z."), code="no_offset")
        return instant


class InstantFilter(django_filters.Filter):  # type: ignore[misc]  # django-filter ships no types
    field_class = InstantField


class WordFilter(django_filters.ChoiceFilter):  # type: ignore[misc]
    """One of a few words. The error names them, and does not repeat what was sent."""

    def __init__(self, *words: str, method: str) -> None:
        super().__init__(
            choices=[(word, word) for word in words],
            method=method,
            error_messages={"invalid_choice": format_lazy(_("Write one of: {choices}."), choices=", ".join(words))},
        )


class WholeFilter(django_filters.Filter):  # type: ignore[misc]
    field_class = forms.IntegerField


class Filters(django_filters.FilterSet):  # type: ignore[misc]
    """What every list takes. What else is sent is refused: `?statsu=` must not pass for no filter."""

    def __init__(self, asked: QueryDict, rows: QuerySet[Any], *, at: datetime) -> None:
        super().__init__(asked, rows)
        self.at = at  # the instant that statuses are of

    cursor = django_filters.CharFilter(method="after")
    limit = WholeFilter(method="as_it_is", min_value=1, max_value=MOST)

    def after(self, rows: QuerySet[Any], _name: str, cursor: str) -> QuerySet[Any]:
        return below(rows, cursor)

    def as_it_is(self, rows: QuerySet[Any], _name: str, _value: Any) -> QuerySet[Any]:
        return rows


def asked_page(
    filters_of: type[Filters], asked: QueryDict, rows: QuerySet[Kept], at: datetime
) -> tuple[list[Kept], str | None]:
    """The rows of the page that a query asks for, and the next cursor."""
    refuse_unknown(asked, filters_of.base_filters)
    chosen = filters_of(asked, rows, at=at)
    if not chosen.is_valid():
        raise exceptions.ValidationError(
            {
                name: [exceptions.ErrorDetail(str(message), code=error.code) for error in found for message in error]
                for name, found in chosen.errors.as_data().items()
            }
        )
    return page(chosen.qs, chosen.form.cleaned_data["limit"] or USUAL)


def refuse_unknown(asked: QueryDict, known: Collection[str]) -> None:
    """Raises a `ValidationError` that names each parameter which is unknown, sent twice, or empty."""
    faults: dict[str, list[exceptions.ErrorDetail]] = {}
    for name in sorted(asked)[:10]:
        if name not in known:
            fault = exceptions.ErrorDetail(str(_("There is no such parameter.")), code="unknown_parameter")
        elif len(asked.getlist(name)) > 1:
            fault = exceptions.ErrorDetail(str(_("Send this parameter once.")), code="repeated_parameter")
        elif not asked[name]:
            fault = exceptions.ErrorDetail(str(_("Give it a value, or leave it out.")), code="blank")
        else:
            continue
        faults[name[:100]] = [fault]
    if faults:
        raise exceptions.ValidationError(faults)


# --- what is handed out ------------------------------------------------------------------------------


def below(rows: QuerySet[Kept], cursor: str) -> QuerySet[Kept]:
    """The rows after the page that ended with this cursor."""
    return rows.filter(pk__lt=last_of(cursor))


def last_of(cursor: str) -> int:
    """The id that a page ended with. Raises `Refused` for what is no cursor."""
    try:
        last = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except ValueError:
        last = b""
    if len(last) != 9 or last[0] != 1:
        raise Refused("bad_cursor", _("This is no cursor of this list. Begin again without one."), field="cursor")
    return min(int.from_bytes(last[1:], "big"), 2**63 - 1)  # as large as an id can be


def page(rows: QuerySet[Kept], limit: int) -> tuple[list[Kept], str | None]:
    return cut(rows.order_by("-pk")[: limit + 1], limit)


def cut(rows: Iterable[Numbered], limit: int) -> tuple[list[Numbered], str | None]:
    """Of up to `limit` + 1 rows, the page's, and the cursor if there are more."""
    found = list(rows)
    if len(found) <= limit:
        return found, None
    # 9 bytes are 12 letters, with nothing to fill up; the first says which form this is.
    return found[:limit], base64.urlsafe_b64encode(b"\1" + found[limit - 1].pk.to_bytes(8, "big")).decode()


# --- how that stands in the API's description ---------------------------------------------------------

PARAMETERS = [
    OpenApiParameter("cursor", str, description="`next` of the page before."),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL}),
]


class PageTerms(serializers.Serializer[Any]):
    """Where a list is asked for in a body."""

    cursor = Text(required=False, allow_null=True, max_length=100, help_text="`next` of the page before.")
    limit = serializers.IntegerField(required=False, default=USUAL, min_value=1, max_value=MOST)


class Page(serializers.Serializer[Any]):
    next = serializers.CharField(allow_null=True, help_text="The next page's `cursor`; null on the last.")
