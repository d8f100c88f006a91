"""What the doors of a firm's own account have in common: its calling numbers, matters and mandates, as they stand, and
what it may ask to change.

What is submitted there waits for the regulator or for the client. What is not the firm's own does not exist for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from dncregistry import lists
from dncregistry.lists import Filters, InstantFilter
from dncregistry.schema import problems
from dncregistry.wire import StrictSerializer
from record import clock
from record.models import Dated
from telemarketers import doors, idempotency
from telemarketers.doors import Visit
from telemarketers.models import Firm
from telemarketers.terms import Scope


class Status(NamedTuple):
    """The words for a row that waits, is in force, and is over."""

    waiting: str
    in_force: str
    over: str

    def of(self, row: Dated, at: datetime) -> str:
        if row.ends is not None and row.ends <= at:
            return self.over
        # Typed as always there; there is none while a row waits.
        starts: datetime | None = row.starts
        return self.waiting if starts is None or at < starts else self.in_force

    def rows(self, rows: QuerySet[Any], word: str, at: datetime) -> QuerySet[Any]:
        chosen = {self.waiting: rows.waiting, self.in_force: rows.in_force, self.over: rows.over}  # type: ignore[attr-defined]
        of_that: QuerySet[Any] = chosen[word](at)
        return of_that


SUBMITTED = Status("waiting", "approved", "withdrawn")
PROPOSED = Status("proposed", "in_force", "ended")

IN_FORCE_AT = OpenApiParameter("in_force_at", str, description="An instant: `2026-11-22T01:30:00Z`.")
READ = problems(400, 401, 403, 422, 429, 503)
CHANGE = problems(400, 401, 403, 409, 411, 413, 415, 422, 429, 503)
CHANGE_ONE = {**CHANGE, **problems(404)}


class Nothing(StrictSerializer):
    """A body that says nothing: the address says all."""


class OfAccount(Filters):
    """What the lists of an account have in common."""

    in_force_at = InstantFilter(method="those_in_force")

    words = SUBMITTED

    def those_in_force(self, rows: QuerySet[Any], _name: str, at: datetime) -> QuerySet[Any]:
        in_force: QuerySet[Any] = rows.in_force(at)  # type: ignore[attr-defined]
        return in_force

    def of_status(self, rows: QuerySet[Any], _name: str, word: str) -> QuerySet[Any]:
        return self.words.rows(rows, word, self.at)


def listed(
    request: Request, filters: type[Filters], rows: Callable[[Firm], QuerySet[Any]], shown: Callable[[Any, Visit], Any]
) -> Response:
    visit = doors.enter(request, Scope.ACCOUNT)
    page, following = lists.asked_page(filters, request.query_params, rows(visit.firm), visit.at)
    return Response({"results": [shown(row, visit) for row in page], "next": following}, headers=visit.headers)


def changed(
    request: Request,
    body: type[StrictSerializer],
    made: type[Model],
    act: Callable[[Visit, dict[str, Any]], Any],
    shown: Callable[[Any, Visit], Any],
    status: int = 200,
) -> Response:
    """Carries out what a live key asks for, once, and shows the row as it then stands."""
    with transaction.atomic():
        visit = doors.enter(request, Scope.ACCOUNT)
        visit.demand_live()
        said = doors.read(body, request)
        row, answered = idempotency.once(
            request, made, firm=visit.firm, at=visit.at, act=lambda: act(visit, said), status=status
        )
        return Response(shown(row, visit), status=answered, headers=visit.headers)


def dates(row: Dated) -> dict[str, str | None]:
    starts: datetime | None = row.starts
    return {"starts": clock.iso(starts) if starts else None, "ends": clock.iso(row.ends) if row.ends else None}
