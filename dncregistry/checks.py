"""What production will not start with, each in a sentence: `manage.py check --deploy --database default`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import Error as DatabaseFailure

from record import roles

SHORTEST_SECRET = 50  # characters, as `secrets.token_urlsafe(48)` has
FEWEST_DIFFERENT = 10  # characters: fewer, and somebody typed it


def demand_fit_to_serve() -> None:
    """Every process of production asks this before it serves. Raises `ImproperlyConfigured` with all that is wrong."""
    if settings.EMBEDDED:
        return
    wrong = run_checks(include_deployment_checks=True, databases=["default"])
    if wrong:
        raise ImproperlyConfigured("\n".join(_sentence(message) for message in wrong))


def demand_fit_to_serve_owed_work(**_: Any) -> None:
    """The same of workers and beat, as they start."""
    try:
        demand_fit_to_serve()
    except (ImproperlyConfigured, DatabaseFailure) as error:
        sys.exit(str(error))  # Celery would log another exception and go on


def _sentence(message: CheckMessage) -> str:
    return f"{message.msg} {message.hint}" if message.hint else str(message.msg)


@register(Tags.security, deploy=True)
def secrets_are_strong(**_: Any) -> list[CheckMessage]:
    weak = len(settings.SECRET_KEY) < SHORTEST_SECRET or len(set(settings.SECRET_KEY)) < FEWEST_DIFFERENT
    hint = "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
    return [Error("SECRET_KEY is weak.", hint=hint, id="dncregistry.E001")] if weak else []


@register(Tags.database, deploy=True)
def commits_are_durable(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """What a citizen saw confirmed must survive a power cut (law 2)."""
    hint = "Set it to on in postgresql.conf, and for this role and database."
    return [
        Error(f"PostgreSQL runs with {setting} off.", hint=hint, id="dncregistry.E002")
        for alias in databases or ()
        if connections[alias].vendor == "postgresql"
        for setting in ("fsync", "synchronous_commit")
        if _ask(alias, f"SELECT current_setting('{setting}')") == "off"
    ]


@register(Tags.database, deploy=True)
def the_role_is_the_applications(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Laws 4 and 9 hold against whatever SQL the application runs, only if its role cannot switch them off."""
    found: list[CheckMessage] = []
    hint = "Serve as a role of its own (docs/operations.md, “Two database roles”)."
    for alias in databases or ():
        if connections[alias].vendor != "postgresql":
            continue
        if _ask(alias, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
            found.append(Error("The database role is a superuser.", hint=hint, id="dncregistry.E003"))
        elif _ask(alias, "SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user"):
            found.append(Error("The database role may make roles.", hint=hint, id="dncregistry.E003"))
        elif rights := roles.excessive(connections[alias]):
            found.append(
                Error(f"The database role may do too much: {', '.join(rights)}.", hint=hint, id="dncregistry.E004")
            )
    return found


def _ask(alias: str, question: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(question)
        (answer,) = cursor.fetchone()
    return answer
