"""What every request passes, whatever it asks for."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from dncregistry import deadline, rest
from telemarketers import credentials

Responds = Callable[[HttpRequest], HttpResponse]


def database_deadline(get_response: Responds) -> Responds:
    """No door waits for the database for longer than a caller waits for the door.

    Nor does the database, a lock in it or the deadline wait for a caller: what the API reads has come in whole before.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        length = request.META.get("CONTENT_LENGTH") or ""
        if request.content_type == "application/json" and length.isdecimal() and int(length) <= settings.MAX_BODY_BYTES:
            _ = request.body
        with deadline.within(settings.DATABASE_DEADLINE):
            return get_response(request)

    return middleware


def no_keys_in_addresses(get_response: Responds) -> Responds:
    """Refuses an address with a key in it: addresses end up in logs and histories."""

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            credentials.refuse_in_address(request.META.get("QUERY_STRING", ""))
        except credentials.KeyInQuery as error:
            return rest.refused(error)
        return get_response(request)

    return middleware
