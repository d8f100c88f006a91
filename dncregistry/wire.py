"""How the HTTP API reads bodies and writes JSON: strictly, bounded, and always JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions, serializers
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from dncregistry.errors import Refused


class BodyTooLarge(Refused):
    status = 413

    def __init__(self) -> None:
        super().__init__("body_too_large", _("The body is over 1 MB. Ask about at most 1,000 numbers at once."))


class LengthRequired(Refused):
    status = 411

    def __init__(self) -> None:
        super().__init__("length_required", _("Send the body whole, with its Content-Length, not in chunks."))


def demand_length(request: HttpRequest) -> None:
    """A body in chunks would be taken for an empty one. Raises `LengthRequired`."""
    if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
        raise LengthRequired


class BoundedJSONParser(BaseParser):
    """Strict JSON of at most `MAX_BODY_BYTES`, whatever length the request claims."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(body) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise exceptions.ParseError(_("The body is not valid JSON (UTF-8).")) from error
        if _is_deeper_than(DEEPEST_BODY, data):
            raise exceptions.ParseError(_("The body is nested deeper than anything that is asked for."))
        return data


DEEPEST_BODY = 8  # levels; deeper ones would exhaust the stack of whatever prints them


def _is_deeper_than(levels: int, data: Any) -> bool:
    layer = [data]
    for _level in range(levels):
        layer = [
            child
            for item in layer
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not layer:
            return False
    return True


class AlwaysJSON(BaseContentNegotiation):
    """The API speaks JSON, whatever a client says it would rather have."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None  # JSON is UTF-8

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else orjson.dumps(data)


class Text(serializers.CharField):
    """Text, and nothing that could be turned into text: 1.38e10 is no way to write a number."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        return text


class NumberText(Text):
    """A number as people write it, to the last space. Longer texts are refused before anything reads them.

    It is one line: a batch's digest is over lines.
    """

    default_error_messages = {"line_break": gettext_lazy("A number is on one line.")}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if len(text.splitlines()) > 1 or text.endswith(("\n", "\r")):
            self.fail("line_break")
        return text

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=64, allow_blank=True, trim_whitespace=False, **options)


class AwareDateTimeField(serializers.DateTimeField):
    """An instant: a time without its offset could mean several."""

    default_error_messages = {"no_offset": gettext_lazy("Write the offset too, as in 2026-11-22T01:30:00Z.")}

    def enforce_timezone(self, value: datetime) -> datetime:
        if timezone.is_naive(value):
            self.fail("no_offset")
        return value


class Choice(serializers.ChoiceField):
    """One of a few words. The error names them, and does not repeat what was sent: it could be a number."""

    default_error_messages = {"invalid_choice": gettext_lazy("Write one of: {choices}.")}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(self.choices))
        return data


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a misspelt `for_time` must not pass for none."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise exceptions.ValidationError(
                {name[:100]: [_("There is no such field.")] for name in unknown[:10]}, code="unknown_field"
            )
        return super().to_internal_value(data)
