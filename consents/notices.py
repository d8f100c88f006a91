"""What are citizens told about their authorizations, when, and in which words?

Composed when it is sent, from the rows as they then are: what is no longer so is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from consents.models import Authorization
from dncregistry.errors import CannotRule
from record import stored_numbers
from record.gateway import NotSent
from record.models import Number
from record.notices import Compose, Message
from record.numbers import PhoneNumber
from record.pseudonyms import PseudonymUnreadable
from record.terms import NoticeKind, Trouble
from telemarketers import policy as policies
from telemarketers.models import Policy

NOTICE_OF_END = timedelta(days=7)

# As the citizen reads them. A gateway knows them as approved templates of these names (docs/operations.md).
TEXTS: Mapping[str, Promise] = {
    NoticeKind.AUTHORIZATION_GRANTED: _(
        "You let {firm} contact you about “{about}”, to {last_day} and that day included. You can revoke this at any "
        "time."
    ),
    NoticeKind.AUTHORIZATION_ENDING: _(
        "{firm} may contact you about “{about}” to {last_day}, that day included. It ends by itself; you need do "
        "nothing."
    ),
    NoticeKind.AUTHORIZATION_ENDED: _(
        "{firm} may no longer contact you about “{about}”: your permission ended, its last day was {last_day}."
    ),
}


def due_of(authorization: Authorization) -> dict[NoticeKind, datetime]:
    """The notices that an authorization makes the registry owe, and when each is due."""
    return {
        NoticeKind.AUTHORIZATION_GRANTED: authorization.starts,
        NoticeKind.AUTHORIZATION_ENDING: authorization.ends - NOTICE_OF_END,
        NoticeKind.AUTHORIZATION_ENDED: authorization.ends,
    }


def granted(authorization_id: str, at: datetime) -> Message | None:
    return _while_in_force(NoticeKind.AUTHORIZATION_GRANTED, authorization_id, at)


def ending(authorization_id: str, at: datetime) -> Message | None:
    return _while_in_force(NoticeKind.AUTHORIZATION_ENDING, authorization_id, at)


def ended(authorization_id: str, at: datetime) -> Message | None:
    """Only what expired is told: who ended it early knows."""
    authorization = _authorization(authorization_id, at)
    if authorization is None or authorization.ended or authorization.ends > at:
        return None
    return _message(NoticeKind.AUTHORIZATION_ENDED, authorization, at)


COMPOSE: Mapping[NoticeKind, Compose] = {
    NoticeKind.AUTHORIZATION_GRANTED: granted,
    NoticeKind.AUTHORIZATION_ENDING: ending,
    NoticeKind.AUTHORIZATION_ENDED: ended,
}


def _while_in_force(kind: NoticeKind, authorization_id: str, at: datetime) -> Message | None:
    authorization = _authorization(authorization_id, at)
    if authorization is None or not authorization.in_force(at):
        return None
    return _message(kind, authorization, at)


def _authorization(authorization_id: str, at: datetime) -> Authorization | None:
    """The authorization if there is somebody to tell: a person who proved the number and still holds it."""
    found: Authorization | None = (
        Authorization.objects.filter(pk=authorization_id, holding__subscriber__isnull=False)
        .select_related("holding__number", "firm", "matter", "purpose")
        .first()
    )
    return found if found is not None and found.holding.in_force(at) else None


def _message(kind: NoticeKind, authorization: Authorization, at: datetime) -> Message:
    language = settings.LANGUAGE_CODE
    zone = policies.read(Policy.objects.in_force(at).get().document).zone
    with translation.override(language):
        params = {
            "firm": authorization.firm.name,
            "about": str(authorization.matter or authorization.purpose),
            "last_day": (authorization.ends.astimezone(zone) - timedelta(days=1)).date().isoformat(),
        }
    return Message(_number(authorization.holding.number), kind.value, params, language)


def _number(number: Number) -> PhoneNumber:
    try:
        return stored_numbers.pseudonymizer().reveal(number.key, bytes(number.pseudonym))
    except (CannotRule, ImproperlyConfigured, PseudonymUnreadable) as error:
        raise NotSent(Trouble.UNREADABLE) from error
