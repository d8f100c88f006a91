"""What `manage.py check` says of the record: keys that are missing, guards that the database lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from record import guards, keys
from record.stored_numbers import NO_FIT, are_readable


@register(Tags.security)
def keys_are_there(**_: Any) -> list[CheckMessage]:
    try:
        keys.require()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="record.E001")]
    return []


@register(Tags.database)
def keys_fit_the_numbers(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Other keys than those the numbers were stored under would find no registration, and allow every call."""
    return [Error(NO_FIT, id="record.E003") for alias in databases or () if not are_readable(alias)]


@register(Tags.database)
def guards_are_there(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    # A warning, because `migrate` stops at errors, and it is `migrate` that puts guards back.
    return [
        Warning(
            f"The database lacks guards: {', '.join(missing)}.",
            hint="Run `manage.py migrate`: it puts them back.",
            id="record.W002",
        )
        for alias in databases or ()
        if (missing := guards.missing(connections[alias]))
    ]
