"""Firms come in, get keys, calling numbers, mandates, licences and matters, and lose them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _
from stdnum.cn import uscc
from stdnum.exceptions import ValidationError

from dncregistry.errors import Refused
from record import ledger
from record.ledger import Actor
from record.models import Dated
from record.numbers import PhoneNumber, ServiceCode
from record.plan import is_private_mobile
from record.terms import Verb
from telemarketers import credentials
from telemarketers.models import (
    Approval,
    CallingNumber,
    Credential,
    Firm,
    Licence,
    Mandate,
    Matter,
    Purpose,
    Wording,
)
from telemarketers.terms import Mode, Scope


def valid_credit_code(text: str, *, field: str = "credit_code") -> str:
    """The unified social credit code in `text`, its check character verified. Raises `Refused`."""
    try:
        code: str = uscc.validate(text)
    except ValidationError as error:
        raise Refused(
            "bad_credit_code",
            _("This is no unified social credit code: 18 characters, the last of which checks the others."),
            field=field,
        ) from error
    return code


def purpose_named(code: str) -> Purpose:
    """The purpose that a firm names. Raises `Refused`."""
    purpose = Purpose.objects.filter(code=code).first()
    if purpose is None:
        raise Refused("unknown_purpose", _("There is no such purpose. See docs/api.md for the list."), field="purpose")
    return purpose


def matter_named(firm: Firm | None, code: str) -> Matter:
    """The matter of a firm, approved or not. Raises `Refused`: the same for unknown and for somebody else's."""
    matter: Matter | None = Matter.objects.filter(firm=firm, code=code).select_related("purpose").first()
    if matter is None:
        raise Refused(
            "unknown_matter",
            _("The firm has no matter with this code. Submit it, or check its spelling."),
            field="matter",
        )
    return matter


@transaction.atomic
def register_firm(*, credit_code: str, name: str, by: Actor, at: datetime) -> Firm:
    """Enters a firm; it may do nothing until it is approved."""
    firm, is_new = Firm.objects.get_or_create(credit_code=valid_credit_code(credit_code), defaults={"name": name})
    if not is_new:
        raise Refused("firm_exists", _("A firm with this credit code is registered already."), field="credit_code")
    ledger.record(Verb.FIRM_REGISTERED, of=firm, by=by, at=at)
    return firm


@transaction.atomic
def approve_firm(*, firm: Firm, by: Actor, at: datetime) -> Approval:
    standing = firm.approvals.in_force(at).first()
    if standing is not None:
        raise Refused("already_approved", _("This firm is approved already."))
    approval = Approval.objects.create(firm=firm, starts=at)
    ledger.record(Verb.FIRM_APPROVED, of=approval, by=by, at=at)
    return approval


@transaction.atomic
def end_approval(*, approval: Approval, by: Actor, at: datetime) -> None:
    close(approval, Verb.FIRM_APPROVAL_ENDED, by=by, at=at)


@transaction.atomic
def issue_credential(
    *, firm: Firm, mode: Mode, scopes: Iterable[Scope], label: str, by: Actor, at: datetime
) -> tuple[Credential, str]:
    """A new key. The key itself is returned this once and kept nowhere."""
    key = credentials.new_key(mode)
    credential = Credential.objects.create(
        firm=firm,
        mode=mode,
        scopes=sorted(scopes),
        label=label,
        digest=credentials.digest(key),
        hint=key[-4:],
        starts=at,
    )
    ledger.record(Verb.CREDENTIAL_ISSUED, of=credential, by=by, at=at)
    return credential, key


@transaction.atomic
def revoke_credential(*, credential: Credential, by: Actor, at: datetime) -> None:
    close(credential, Verb.CREDENTIAL_REVOKED, by=by, at=at)


@transaction.atomic
def submit_calling_number(
    *, firm: Firm, number: PhoneNumber | ServiceCode, display_name: str, by: Actor, at: datetime
) -> CallingNumber:
    """A firm names a number that it will call from; it may not until the regulator approves."""
    if isinstance(number, PhoneNumber) and is_private_mobile(number):
        raise Refused(
            "private_mobile",
            _("Private mobile numbers cannot be calling numbers. Register a fixed line or a service number."),
            field="number",
        )
    of_that_number = CallingNumber.objects.filter(number=number.text)
    if of_that_number.in_force(at).exists() or of_that_number.waiting(at).filter(firm=firm).exists():
        raise _taken()
    calling_number = CallingNumber.objects.create(
        firm=firm, number=number.text, display_name=display_name, submitted_at=at
    )
    ledger.record(Verb.CALLING_NUMBER_SUBMITTED, of=calling_number, by=by, at=at)
    return calling_number


@transaction.atomic
def approve_calling_number(*, calling_number: CallingNumber, by: Actor, at: datetime) -> None:
    """The firm may call from it from now on. One number has one firm at a time."""
    try:
        with transaction.atomic():
            start(calling_number, Verb.CALLING_NUMBER_ADDED, by=by, at=at)
    except IntegrityError as error:
        if "no_overlap" not in str(error):
            raise
        raise _taken() from error


@transaction.atomic
def add_calling_number(
    *, firm: Firm, number: PhoneNumber | ServiceCode, display_name: str, by: Actor, at: datetime
) -> CallingNumber:
    """Submitted and approved in one: for the operator, who enters what is approved already."""
    calling_number = submit_calling_number(firm=firm, number=number, display_name=display_name, by=by, at=at)
    approve_calling_number(calling_number=calling_number, by=by, at=at)
    return calling_number


@transaction.atomic
def withdraw_calling_number(*, calling_number: CallingNumber, by: Actor, at: datetime) -> None:
    close(calling_number, Verb.CALLING_NUMBER_WITHDRAWN, by=by, at=at)


@transaction.atomic
def propose_mandate(*, agent: Firm, client: Firm, by: Actor, at: datetime) -> Mandate:
    """`agent` asks to act on behalf of `client`; nothing follows until the client confirms."""
    if agent == client:
        raise Refused("own_client", _("A firm needs no mandate to act for itself."), field="client")
    mandate = Mandate.objects.create(agent=agent, client=client, proposed_at=at)
    ledger.record(Verb.MANDATE_PROPOSED, of=mandate, by=by, at=at)
    return mandate


@transaction.atomic
def confirm_mandate(*, mandate: Mandate, by: Actor, at: datetime) -> None:
    """The client confirms: the mandate is in force from now on."""
    if Mandate.objects.in_force(at).filter(agent=mandate.agent_id, client=mandate.client_id).exclude(pk=mandate.pk):
        raise Refused("already_mandated", _("This firm has a mandate of this client already."))
    start(mandate, Verb.MANDATE_CONFIRMED, by=by, at=at)


@transaction.atomic
def end_mandate(*, mandate: Mandate, by: Actor, at: datetime) -> None:
    close(mandate, Verb.MANDATE_ENDED, by=by, at=at)


@transaction.atomic
def grant_licence(*, firm: Firm, purpose: Purpose, document: str, by: Actor, at: datetime) -> Licence:
    if Licence.objects.in_force(at).filter(firm=firm, purpose=purpose).exists():
        raise Refused("already_licensed", _("This firm is licensed for this purpose already."), field="purpose")
    licence = Licence.objects.create(firm=firm, purpose=purpose, document=document, starts=at)
    ledger.record(Verb.LICENCE_GRANTED, of=licence, by=by, at=at)
    return licence


@transaction.atomic
def end_licence(*, licence: Licence, by: Actor, at: datetime) -> None:
    close(licence, Verb.LICENCE_ENDED, by=by, at=at)


@transaction.atomic
def submit_matter(
    *, firm: Firm, code: str, purpose: Purpose, title: str, wording: str, by: Actor, at: datetime
) -> Matter:
    """A firm submits a concrete thing to call about, with the exact wording to be put to the citizen."""
    if not wording.strip():
        raise Refused("no_wording", _("Give the exact wording that will be put to the citizen."), field="wording")
    matter, is_new = Matter.objects.get_or_create(
        firm=firm, code=code, defaults={"purpose": purpose, "title": title, "submitted_at": at}
    )
    if not is_new:
        raise Refused("matter_exists", _("There is a matter with this code already. Choose another."), field="code")
    first = Wording.objects.create(matter=matter, version=1, text=wording, at=at)
    ledger.record(Verb.MATTER_SUBMITTED, of=matter, by=by, at=at)
    ledger.record(Verb.WORDING_ADDED, of=first, by=by, at=at)
    return matter


@transaction.atomic
def approve_matter(*, matter: Matter, by: Actor, at: datetime) -> None:
    start(matter, Verb.MATTER_APPROVED, by=by, at=at)


@transaction.atomic
def withdraw_matter(*, matter: Matter, by: Actor, at: datetime) -> None:
    close(matter, Verb.MATTER_WITHDRAWN, by=by, at=at)


def start(row: CallingNumber | Mandate | Matter, verb: Verb, *, by: Actor, at: datetime) -> None:
    """Brings a row that waited for its approval into force. Raises `Refused` if somebody was first."""
    started = type(row)._default_manager.filter(pk=row.pk, starts__isnull=True, ends__isnull=True).update(starts=at)
    if not started:
        raise Refused("not_waiting", _("This has been decided already. Look at its present state."))
    row.refresh_from_db()  # the event shows the row as it is, not as its page last saw it
    ledger.record(verb, of=row, by=by, at=at)


def close(row: Dated, verb: Verb, *, by: Actor, at: datetime) -> None:
    """Ends a row now. Raises `Refused` if it has ended already."""
    closed = type(row)._default_manager.filter(pk=row.pk).exclude(ends__lte=at).update(ends=at)
    if not closed:
        raise Refused("already_ended", _("This has ended already."))
    row.refresh_from_db()
    ledger.record(verb, of=row, by=by, at=at)


def _taken() -> Refused:
    return Refused("calling_number_taken", _("This calling number is registered already."), field="number")
