"""How the HTTP API reads bodies and writes JSON: strictly, bounded, and always JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import exceptions, serializers
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from dncregistry.errors import Refused


class BodyTooLarge(Refused):
    status = 413

    def __init__(self) -> None:
        super().__init__("body_too_large", _("The body is over 1 MB. Ask about at most 1,000 numbers at once."))


class BoundedJSONParser(BaseParser):
    """Strict JSON of at most `MAX_BODY_BYTES`, whatever length the request claims."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(body) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise exceptions.ParseError(_("The body is not valid JSON (UTF-8).")) from error


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


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a misspelt `for_time` must not pass for none."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise exceptions.ValidationError(
                {name[:100]: [_("There is no such field.")] for name in unknown[:10]}, code="unknown_field"
            )
        return super().to_internal_value(data)
