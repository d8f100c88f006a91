"""How problems stand in the OpenAPI document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from dncregistry.rest import PROBLEM_JSON


class FieldProblem(serializers.Serializer[Any]):
    field = serializers.CharField(allow_null=True)
    code = serializers.CharField()
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="Stable; docs/api.md lists them.")
    detail = serializers.CharField(help_text="For people, in the language of the request.")
    errors = FieldProblem(many=True)  # type: ignore[assignment]  # RFC 9457 leaves the name to us


def problems(*statuses: int) -> dict[Any, Any]:
    """The `responses` of an operation that may answer with these statuses."""
    return {
        (status, PROBLEM_JSON): OpenApiResponse(Problem, description=HTTPStatus(status).phrase) for status in statuses
    }
