"""Has this very request been carried out before? What an `Idempotency-Key` promises.

A firm that got no answer sends the same request again under the same key, within 24 hours, and gets the outcome of the
first; nothing is done twice. The answer itself is not kept, since it may hold a subscriber's number: it is made anew
from the row that the first request made. Key and body may hold one too, and a plain digest of a number is that number
to whoever tries all numbers (law 8); so their digests are kept encrypted under the number key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import orjson
from django.db import connection
from django.db.models import Model
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from dncregistry.errors import Refused
from record import ledger, stored_numbers
from telemarketers.models import Firm, IdempotencyKey

REMEMBERED = timedelta(hours=24)

KEY = re.compile(r"[\x21-\x7e]{1,255}")

HEADER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="Of your own choosing. The same request sent again under it within 24 hours is carried out once.",
)

Row = TypeVar("Row", bound=Model)


class InFlight(Refused):
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "idempotency_in_flight",
            _("The first request under this Idempotency-Key is still being carried out. Send it again in a second."),
            field="Idempotency-Key",
        )

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


def demand_key(request: Request) -> str:
    """The key in the header, or none. Raises `Refused` for one that is not visible ASCII."""
    key = str(request.META.get("HTTP_IDEMPOTENCY_KEY", ""))
    if "HTTP_IDEMPOTENCY_KEY" in request.META and not KEY.fullmatch(key):
        raise Refused(
            "bad_idempotency_key",
            _("An Idempotency-Key is 1 to 255 visible ASCII characters, without spaces."),
            field="Idempotency-Key",
        )
    return key


def once(
    request: Request, made: type[Row], *, firm: Firm, at: datetime, act: Callable[[], Row], status: int = 201
) -> tuple[Row, int]:
    """Acts, or finds what the same request made before: the row and the status to answer with.

    In the door's transaction, so that effect and memory stand or fall together; what is refused is not remembered.
    Raises `Refused`: `idempotency_conflict` for another body under the same key, `idempotency_in_flight` (409) while
    the first is still being carried out.
    """
    key = demand_key(request)
    if not key:
        return act(), status
    named = hashlib.sha256(f"{firm.pk}\n{request.path}\n{key}".encode()).digest()
    # As it was understood, whatever the order of its fields and the spaces between them.
    body = hashlib.sha256(orjson.dumps(request.data, option=orjson.OPT_SORT_KEYS)).digest()
    _demand_alone(named)
    pseudonymizer = stored_numbers.pseudonymizer()
    names = [pseudonymizer.encrypt(named, key_id=key_id) for key_id in pseudonymizer.key_ids]
    first = IdempotencyKey.objects.filter(name__in=names).first()
    if first is not None and first.at > at - REMEMBERED:
        if pseudonymizer.decrypt(bytes(first.body), key_id=first.number_key) != body:
            raise Refused(
                "idempotency_conflict",
                _("Another request was sent under this Idempotency-Key. Use a new key for a new request."),
                field="Idempotency-Key",
            )
        return made._default_manager.get(pk=first.result_id), first.status
    if first is not None:
        first.delete()
    row = act()
    IdempotencyKey.objects.create(
        firm=firm,
        route=request.path,
        name=names[0],
        body=pseudonymizer.encrypt(body),
        number_key=pseudonymizer.current.id,
        status=status,
        result_kind=ledger.kind_of(row),
        result_id=str(row.pk),
        at=at,
    )
    return row, status


def forget_old(at: datetime) -> int:
    """Deletes the keys whose 24 hours are over; returns how many. Safe to run at any time, any number of times."""
    forgotten, _by_table = IdempotencyKey.objects.filter(at__lte=at - REMEMBERED).delete()
    return forgotten


def _demand_alone(named: bytes) -> None:
    """Only one request at a time acts under a key. SQLite has one writer anyway."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(named[:8], "big", signed=True)])
        (alone,) = cursor.fetchone()
    if not alone:
        raise InFlight
