"""The record's closed vocabularies: who may act, and what can happen."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ActorKind(models.TextChoices):
    SUBSCRIBER = "subscriber", _("subscriber")
    FIRM = "firm", _("firm")
    STAFF = "staff", _("regulator's staff")
    OPERATOR = "operator", _("operator at the command line")
    SYSTEM = "system", _("the registry itself")


class Verb(models.TextChoices):
    """What an event says was done. A word, once used, never changes its meaning."""

    # what a new version of the program changed in the form of a row
    CARRIED_OVER = "row.carried_over", _("carried over into a new form")
    # firms and their terms
    FIRM_REGISTERED = "firm.registered", _("firm registered")
    FIRM_APPROVED = "firm.approved", _("firm approved")
    FIRM_APPROVAL_ENDED = "firm.approval_ended", _("approval ended")
    CREDENTIAL_ISSUED = "credential.issued", _("key issued")
    CREDENTIAL_REVOKED = "credential.revoked", _("key revoked")
    CALLING_NUMBER_SUBMITTED = "calling_number.submitted", _("calling number submitted")
    CALLING_NUMBER_ADDED = "calling_number.added", _("calling number added")
    CALLING_NUMBER_WITHDRAWN = "calling_number.withdrawn", _("calling number withdrawn")
    MANDATE_PROPOSED = "mandate.proposed", _("mandate proposed")
    MANDATE_CONFIRMED = "mandate.confirmed", _("mandate confirmed")
    MANDATE_ENDED = "mandate.ended", _("mandate ended")
    LICENCE_GRANTED = "licence.granted", _("licence granted")
    LICENCE_ENDED = "licence.ended", _("licence ended")
    WORDING_ADDED = "wording.added", _("wording added")
    MATTER_SUBMITTED = "matter.submitted", _("matter submitted")
    MATTER_APPROVED = "matter.approved", _("matter approved")
    MATTER_WITHDRAWN = "matter.withdrawn", _("matter withdrawn")
    # the regulator's rules
    PURPOSE_ADDED = "purpose.added", _("purpose added")
    POLICY_PUBLISHED = "policy.published", _("policy published")
    SANCTION_PROPOSED = "sanction.proposed", _("sanction proposed")
    SANCTION_APPROVED = "sanction.approved", _("sanction approved")
    SANCTION_LIFTED = "sanction.lifted", _("sanction lifted")
    # what subscribers say
    SUBSCRIBER_ADDED = "subscriber.added", _("subscriber added")
    HOLDING_OPENED = "holding.opened", _("holding opened")
    HOLDING_CLAIMED = "holding.claimed", _("holding claimed")
    HOLDING_ENDED = "holding.ended", _("holding ended")
    REGISTERED = "registration.made", _("registered")
    REGISTRATION_ENDED = "registration.ended", _("registration ended")
    AUTHORIZED = "authorization.granted", _("authorized")
    AUTHORIZATION_ENDED = "authorization.ended", _("authorization ended")
    FIRM_REFUSED = "refusal.made", _("firm refused")
    REFUSAL_LODGED = "refusal.lodged", _("refusal lodged by a firm")
    REFUSAL_LIFTED = "refusal.lifted", _("refusal lifted")
    PREFERENCE_SET = "preference.set", _("preference set")
    PREFERENCE_ENDED = "preference.ended", _("preference ended")


class NoticeKind(models.TextChoices):
    """What a notice tells a citizen. The room that owes it composes it."""

    AUTHORIZATION_GRANTED = "authorization_granted", _("authorization granted")
    AUTHORIZATION_ENDING = "authorization_ending", _("authorization about to end")
    AUTHORIZATION_ENDED = "authorization_ended", _("authorization expired")


class Trouble(models.TextChoices):
    """Why a notice could not be sent. A closed list, so that no answer of a gateway, with a number in it, is kept."""

    UNREACHABLE = "unreachable", _("the gateway did not answer")
    BUSY = "busy", _("the gateway asked to try again later")
    REJECTED = "rejected", _("the gateway will not take it")
    UNREADABLE = "unreadable", _("the number cannot be read with the keys that are here")
    INTERRUPTED = "interrupted", _("whoever sent it never came back")
