"""The words of what subscribers have said, and of what follows for a call."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from telemarketers.terms import Channel


class HoldingSource(models.TextChoices):
    PROOF = "proof", _("proved by one-time code")
    OPERATOR = "operator", _("entered by an operator")
    IMPORT = "import", _("imported from another register")
    FIRM = "firm", _("lodged by a firm")


class Ended(models.TextChoices):
    """How an authorization ended before its time. One that merely expired has none of these."""

    REVOKED = "revoked", _("revoked")
    REGISTERED = "registered", _("ended by a registration")
    REFUSED = "refused", _("the firm was refused")
    REPLACED = "replaced", _("replaced by a later authorization")
    HOLDING = "holding", _("the number has a new holder")


class AuthorizationStatus(models.TextChoices):
    """What a firm is told of its own authorizations; how else one ended is between citizen and registry."""

    IN_FORCE = "in_force", _("in force")
    EXPIRED = "expired", _("expired")
    REVOKED = "revoked", _("revoked")


class Verdict(models.TextChoices):
    ALLOW = "allow", _("allow")
    BLOCK = "block", _("block")


class Reason(models.TextChoices):
    """Why a call is allowed or blocked, in the order in which the ruling asks (design §3)."""

    INVALID_NUMBER = "invalid_number", _("the number cannot be dialled")
    FIRM_NOT_APPROVED = "firm_not_approved", _("the firm or its client is not approved")
    FIRM_BARRED = "firm_barred", _("the firm or its client is suspended or barred")
    NOT_MANDATED = "not_mandated", _("no mandate of that client is in force")
    CALLER_UNREGISTERED = "caller_unregistered", _("the calling number is not one of the firm's")
    CALLER_SUSPENDED = "caller_suspended", _("the calling number is suspended")
    PURPOSE_NOT_LICENSED = (
        "purpose_not_licensed",
        _("no licence for the purpose, or the matter is not approved"),
    )
    EXEMPT = "exempt", _("a service message")
    AUTHORIZATION_REVOKED = "authorization_revoked", _("the authorization was ended")
    FIRM_REFUSED = "firm_refused", _("the citizen refuses this firm")
    AUTHORIZATION_EXPIRED = "authorization_expired", _("the authorization has expired")
    NO_AUTHORIZATION = "no_authorization", _("the citizen has not authorized this")
    REGISTERED = "registered", _("the number is on the do-not-call list")
    OUTSIDE_HOURS = "outside_hours", _("outside the hours for calling")
    CAP_REACHED = "cap_reached", _("called on as many days as permitted")
    AUTHORIZED = "authorized", _("the citizen authorized it")
    NOT_REGISTERED = "not_registered", _("nothing forbids it")


ALLOWED = {Reason.EXEMPT, Reason.AUTHORIZED, Reason.NOT_REGISTERED}  # all others block


# A refusal of voice includes robocalls; an authorization of voice does not.
REFUSED_BY = {
    Channel.VOICE: Channel.VOICE,
    Channel.ROBOCALL: Channel.VOICE | Channel.ROBOCALL,
    Channel.SMS: Channel.SMS,
}
