"""What every request passes, whatever it asks for."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from dncregistry import rest
from telemarketers import credentials


def no_keys_in_addresses(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Refuses an address with a key in it: addresses end up in logs and histories."""

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            credentials.refuse_in_address(request.META.get("QUERY_STRING", ""))
        except credentials.KeyInQuery as error:
            return rest.refused(error)
        return get_response(request)

    return middleware
