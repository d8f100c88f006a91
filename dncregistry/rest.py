"""How the HTTP API says what is wrong: `application/problem+json` (RFC 9457).

Every error of the API has this one shape, whoever raised it: our own verbs (`Refused`), the framework, or Django
itself before a view was reached.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, SuspiciousOperation
from django.db.utils import Error as DatabaseFailure
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from drf_standardized_errors.formatter import flatten_errors
from rest_framework import exceptions

from dncregistry import metrics
from dncregistry.breaker import NotAnswering
from dncregistry.errors import CannotRule, Refused

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"


def problem(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """The framework's exception handler."""
    if isinstance(error, DatabaseFailure):
        if not isinstance(error, NotAnswering):  # of which the breaker has told
            log.error("the database failed", exc_info=error)
        error = CannotRule(_("The registry cannot answer now. A marketing call is not allowed; try again shortly."))
    if isinstance(error, ImproperlyConfigured):  # a key that cannot be read, say; what it says is for the operator
        log.error("the registry is not set up", exc_info=error)
        error = CannotRule(_("The registry cannot answer now. A marketing call is not allowed; try again shortly."))
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, Refused):
        errors = [{"field": error.field, "code": error.code, "detail": str(error.detail)}] if error.field else []
        if isinstance(error, CannotRule):
            metrics.UNANSWERED.inc()
        body = body_of(error.status, error.code, str(error.detail), errors)
        headers = error.headers()
    elif isinstance(error, exceptions.ValidationError):
        body, headers = _of_validation(error), {}
    elif isinstance(error, exceptions.APIException):
        body = body_of(error.status_code, str(error.get_codes()), str(error.detail))
        headers = {"Allow": ", ".join(context["view"].allowed_methods)} if body["status"] == 405 else {}
    else:
        return None
    return _response(body, headers)


def body_of(status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "type": f"urn:dnc:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "code": code,
        "detail": detail,
        "errors": errors or [],
    }


def _of_validation(error: exceptions.ValidationError) -> dict[str, Any]:
    errors = [
        {"field": _field(found.attr), "code": found.code, "detail": found.detail}
        for found in flatten_errors(error.detail)
    ]
    # One thing wrong is named at once; several are listed.
    code = errors[0]["code"] if len(errors) == 1 else "invalid_request"
    detail = errors[0]["detail"] if len(errors) == 1 else _("Several fields are wrong. See `errors`.")
    return body_of(HTTPStatus.UNPROCESSABLE_ENTITY, str(code), str(detail), errors)


def _field(path: str | None) -> str | None:
    """`callees.3` of the library is `callees[3]` here; what concerns the whole body has no field."""
    if path is None or path == "non_field_errors":
        return None
    head, *rest = path.split(".")
    return head + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in rest)


# --- where no view was reached -----------------------------------------------------------------------


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem_response(404, "not_found", _("There is nothing at this address. See /api/docs/."))


def bad_request(request: HttpRequest, exception: SuspiciousOperation) -> HttpResponse:
    return _problem_response(400, "bad_request", _("The request cannot be read."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Our fault; the traceback is in the log, not in the answer."""
    return _problem_response(500, "internal_error", _("The registry failed. The call is not allowed; try again."))


def refused(error: Refused) -> HttpResponse:
    """For what stands before the views, such as middleware."""
    return _response(body_of(error.status, error.code, str(error.detail)), error.headers())


def _problem_response(status: int, code: str, detail: str) -> HttpResponse:
    return _response(body_of(status, code, detail), {})


def _response(body: dict[str, Any], headers: Mapping[str, str]) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status=body["status"], headers=dict(headers), content_type=PROBLEM_JSON)
