"""API keys: how they look, how they are kept, and whose a presented one is."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime
from urllib.parse import unquote

from django.utils.translation import gettext_lazy as _

from dncregistry import metrics
from dncregistry.errors import Refused
from telemarketers.models import Credential
from telemarketers.terms import Mode, Scope

KEY = re.compile(r"dnc_(live|test)_[A-Za-z0-9]{32}")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Unauthenticated(Refused):
    """No key, or none that is in force: unknown, revoked and expired are not told apart."""

    status = 401

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class KeyInQuery(Refused):
    """A key in an address ends up in logs and histories."""

    status = 400

    def __init__(self) -> None:
        super().__init__(
            "key_in_query",
            _(
                "Never put a key in an address: send it as “Authorization: Bearer …”. "
                "Revoke this key; it may be in logs."
            ),
        )


class Forbidden(Refused):
    """A key that is in force, but not for this."""

    status = 403


def new_key(mode: Mode) -> str:
    """32 characters of 62: 190 random bits."""
    return f"dnc_{mode}_" + "".join(secrets.choice(ALPHABET) for _position in range(32))


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def refuse_in_address(query: str) -> None:
    """Raises `KeyInQuery` if a key stands in the query, escaped or not."""
    readable = query
    while readable != (again := unquote(readable)):
        readable = again
    if "dnc_live_" in readable or "dnc_test_" in readable:
        raise KeyInQuery


def presented(authorization: str) -> str:
    """The key in an `Authorization: Bearer` header. Raises `Unauthenticated`."""
    scheme, _space, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("no_key", _("Send your key as “Authorization: Bearer dnc_live_…”."))
    return key.strip()


def authenticate(key: str, at: datetime) -> Credential:
    """The credential of a presented key, with its firm. Raises `Unauthenticated`."""
    credential: Credential | None = None
    if KEY.fullmatch(key):
        with metrics.timed("credential"):
            credential = Credential.objects.in_force(at).select_related("firm").filter(digest=digest(key)).first()
    if credential is None:
        raise Unauthenticated(
            "invalid_key", _("This key is unknown, revoked or expired. Use one that your firm holds now.")
        )
    return credential


def demand_scope(credential: Credential, *any_of: Scope) -> None:
    if not set(any_of) & set(credential.scopes):
        raise Forbidden(
            "scope_missing",
            _("This key may not be used for that. Use one with the scope “{scope}”.").format(scope=any_of[0]),
        )
