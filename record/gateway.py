"""How a message reaches a citizen's phone: through the regulator's SMS gateway or, without one, in the terminal.

Gateways in China take approved templates, not free text: a message is a template's name and what fills it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from typing import Protocol
from uuid import UUID

import httpx
from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise

from record.masking import mask_numbers
from record.numbers import PhoneNumber
from record.terms import Trouble

# Seconds. Ten messages that all take their longest are sent within a lease (record/notices.py).
TIMEOUT = httpx.Timeout(4, connect=3)

TRY_LATER = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)


class NotSent(Exception):
    """The message was not taken. `for_good`: trying again would change nothing."""

    def __init__(self, trouble: Trouble, *, for_good: bool = False) -> None:
        super().__init__(trouble)
        self.trouble = trouble
        self.for_good = for_good


class Gateway(Protocol):
    def send(
        self, notice_id: UUID, number: PhoneNumber, template: str, params: Mapping[str, str], language: str
    ) -> None:
        """Raises `NotSent`. May be called again with the same id, which must then reach the citizen once."""


class TerminalGateway:
    """Shows what would be sent, as the citizen would read it; the number masked (law 8)."""

    def __init__(self, texts: Mapping[str, Promise]) -> None:
        self.texts = texts

    def send(
        self, notice_id: UUID, number: PhoneNumber, template: str, params: Mapping[str, str], language: str
    ) -> None:
        with translation.override(language):
            text = str(self.texts[template]).format(**params)
        sys.stdout.write(f"SMS {mask_numbers(number.e164)}  {text}\n")
        sys.stdout.flush()


class HttpsGateway:
    """Posts each message as JSON. 2xx: taken. 4xx: will never be taken, except 408 and 429. All else: try later."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.client = httpx.Client(timeout=TIMEOUT, headers={"Authorization": f"Bearer {token}"})

    def send(
        self, notice_id: UUID, number: PhoneNumber, template: str, params: Mapping[str, str], language: str
    ) -> None:
        message = {"to": number.e164, "template": template, "params": dict(params), "language": language}
        headers = {"Idempotency-Key": str(notice_id)}
        try:
            # Streamed: what the gateway has to say beyond the status is not waited for.
            with self.client.stream("POST", self.url, json=message, headers=headers) as answer:
                status = answer.status_code
        except httpx.TransportError:
            # Without its cause, which could hold the message.
            raise NotSent(Trouble.UNREACHABLE) from None
        if httpx.codes.is_client_error(status) and status not in TRY_LATER:
            raise NotSent(Trouble.REJECTED, for_good=True)
        if not httpx.codes.is_success(status):
            raise NotSent(Trouble.BUSY)


@cache
def https_gateway() -> HttpsGateway | None:
    """The gateway of the settings, if there is one; connections are kept open between messages."""
    return HttpsGateway(settings.SMS_GATEWAY_URL, settings.SMS_GATEWAY_TOKEN) if settings.SMS_GATEWAY_URL else None
