"""The verbs of what subscribers say. Each changes rows and writes its events in one transaction.

Keyword-only; `by` is who acts, `at` the instant that the door asked the clock for. No verb takes a past instant.
Towards protection nothing is asked twice; away from it the door has asked for a fresh one-time code (law 10).
Saying the same again changes nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from consents import notices
from consents.models import (
    MINUTES_OF_DAY,
    Authorization,
    Holding,
    LodgedRefusal,
    Preference,
    Refusal,
    Registration,
    Subscriber,
)
from consents.terms import Ended, HoldingSource
from dncregistry.errors import CannotRule, Refused
from record import ledger, stored_numbers
from record import notices as owed
from record.ledger import Actor
from record.models import Number
from record.numbers import PhoneNumber
from record.terms import Verb
from telemarketers import policy as policies
from telemarketers.models import Firm, Matter, Policy, Purpose
from telemarketers.policy import Block
from telemarketers.terms import ALL_CHANNELS, Channel, PurposeKind

# A firm's clock may run ahead of ours by this much and still mean "now".
CLOCK_SLACK = timedelta(seconds=60)
# As long as the person may complain of the call: design §5.
LODGED_WITHIN = timedelta(days=30)

# --- numbers and who holds them ----------------------------------------------------------------------


def number_row(number: PhoneNumber) -> Number | None:
    """The number's row if the registry has met it, under whichever key."""
    return stored_numbers.find(number)


def holding_of(number: PhoneNumber, at: datetime) -> Holding | None:
    """The present holding of a number, claimed or not."""
    row = number_row(number)
    return None if row is None else row.holdings.in_force(at).first()


@transaction.atomic
def hold(*, number: PhoneNumber, source: HoldingSource, by: Actor, at: datetime) -> Holding:
    """The present holding of a number; if it has none, a new one that nobody has claimed yet."""
    row = stored_numbers.meet(number)
    present: Holding | None = row.holdings.in_force(at).first()
    if present is not None:
        return present
    try:
        with transaction.atomic():
            holding = Holding.objects.create(number=row, source=source, starts=at)
    except IntegrityError:
        # Somebody opened it in this very moment, perhaps by a later clock reading than ours.
        return row.holdings.get(ends__isnull=True)
    ledger.record(Verb.HOLDING_OPENED, of=holding, by=by, at=at)
    return holding


@transaction.atomic
def add_subscriber(*, by: Actor, at: datetime) -> Subscriber:
    subscriber = Subscriber.objects.create(since=at)
    ledger.record(Verb.SUBSCRIBER_ADDED, of=subscriber, by=by, at=at)
    return subscriber


@transaction.atomic
def claim(*, number: PhoneNumber, subscriber: Subscriber, by: Actor, at: datetime) -> Holding:
    """A subscriber has proved the number: its unclaimed holding, with all that was said, becomes theirs.

    Raises `Refused` (`held_by_another`) if somebody else holds it: then it is for `hand_over`.
    """
    holding = hold(number=number, source=HoldingSource.PROOF, by=by, at=at)
    at = _lock(holding, at)
    holding.refresh_from_db()
    if holding.subscriber_id == subscriber.pk:
        return holding
    claimed = Holding.objects.filter(pk=holding.pk, subscriber__isnull=True).update(subscriber=subscriber)
    if not claimed:
        raise Refused("held_by_another", _("Somebody else has proved this number. Say that it is new to you."))
    holding.refresh_from_db()
    ledger.record(Verb.HOLDING_CLAIMED, of=holding, by=by, at=at)
    return holding


@transaction.atomic
def hand_over(
    *, number: PhoneNumber, subscriber: Subscriber, keep_registration: bool, by: Actor, at: datetime
) -> Holding:
    """“This number is new to me”: what the former holder said ends; the registration stays unless declined."""
    former = holding_of(number, at)
    if former is None:
        return claim(number=number, subscriber=subscriber, by=by, at=at)
    at = _lock(former, at)
    kept = list(former.registrations.in_force(at)) if keep_registration else []
    _end_holding(former, by=by, at=at)
    holding = Holding.objects.create(number=former.number, subscriber=subscriber, source=HoldingSource.PROOF, starts=at)
    ledger.record(Verb.HOLDING_OPENED, of=holding, by=by, at=at)
    for registration in kept:
        _open_registration(holding, registration.purpose, Channel(registration.channels), by=by, at=at)
    return holding


def _end_holding(holding: Holding, *, by: Actor, at: datetime) -> None:
    _end_authorizations(holding.authorizations.in_force(at), Ended.HOLDING, by=by, at=at)
    _close_all(holding.registrations.in_force(at), Verb.REGISTRATION_ENDED, by=by, at=at)
    _close_all(holding.refusals.in_force(at), Verb.REFUSAL_LIFTED, by=by, at=at)
    _close_all(holding.preferences.in_force(at), Verb.PREFERENCE_ENDED, by=by, at=at)
    _close_all(Holding.objects.filter(pk=holding.pk), Verb.HOLDING_ENDED, by=by, at=at)


# --- refusing ----------------------------------------------------------------------------------------


@transaction.atomic
def register(
    *,
    holding: Holding,
    by: Actor,
    at: datetime,
    purposes: Collection[Purpose] = (),
    channels: Channel = ALL_CHANNELS,
    keep: Collection[int] = (),
) -> list[Registration]:
    """Puts a number on the do-not-call list: for all marketing, or for the `purposes` given.

    Widens what is registered already, never narrows it. Ends the authorizations that it contradicts, except those
    whose ids are in `keep`. Returns the registrations that now hold.
    """
    _demand_channels(channels)
    at = _lock(holding, at)
    if any(purpose.kind != PurposeKind.MARKETING for purpose in purposes):
        raise Refused("not_marketing", _("Only marketing can be refused; service messages go on."), field="purposes")
    _end_authorizations(
        contradicted(holding, purposes, channels, at).exclude(pk__in=keep), Ended.REGISTERED, by=by, at=at
    )
    wanted: Iterable[Purpose | None] = purposes or [None]
    return [_widen(holding, purpose, channels, by=by, at=at) for purpose in wanted]


def contradicted(
    holding: Holding, purposes: Collection[Purpose], channels: Channel, at: datetime
) -> QuerySet[Authorization]:
    """The authorizations in force that registering so would end: what the page lists, to tick those to keep."""
    authorizations: QuerySet[Authorization] = holding.authorizations.in_force(at)
    if purposes:
        authorizations = authorizations.filter(purpose__in=purposes)
    touched = [mask for mask in range(1, int(ALL_CHANNELS) + 1) if mask & _refused(channels)]
    return authorizations.filter(channels__in=touched)


def _widen(holding: Holding, purpose: Purpose | None, channels: Channel, *, by: Actor, at: datetime) -> Registration:
    present: Registration | None = holding.registrations.in_force(at).filter(purpose=purpose).first()
    wanted = _refused(channels)
    if present is not None:
        if Channel(present.channels) & wanted == wanted:
            return present
        _close_all(Registration.objects.filter(pk=present.pk), Verb.REGISTRATION_ENDED, by=by, at=at)
        wanted |= Channel(present.channels)
    return _open_registration(holding, purpose, wanted, by=by, at=at)


def _refused(channels: Channel) -> Channel:
    """A refusal of voice includes robocalls."""
    return channels | Channel.ROBOCALL if Channel.VOICE in channels else channels


def _open_registration(
    holding: Holding, purpose: Purpose | None, channels: Channel, *, by: Actor, at: datetime
) -> Registration:
    registration = Registration.objects.create(
        holding=holding, purpose=purpose, channels=int(_refused(channels)), starts=at
    )
    ledger.record(Verb.REGISTERED, of=registration, by=by, at=at)
    return registration


@transaction.atomic
def leave(*, holding: Holding, by: Actor, at: datetime) -> None:
    """Takes a number off the do-not-call list altogether. Away from protection: the door asked for a fresh code."""
    at = _lock(holding, at)
    if not _close_all(holding.registrations.in_force(at), Verb.REGISTRATION_ENDED, by=by, at=at):
        raise Refused("not_registered", _("This number is not on the do-not-call list."))


@transaction.atomic
def refuse_firm(*, holding: Holding, firm: Firm, by: Actor, at: datetime) -> Refusal:
    """Never this firm: ends its authorizations, and refuses all its marketing from now on."""
    at = _lock(holding, at)
    _end_authorizations(holding.authorizations.in_force(at).filter(firm=firm), Ended.REFUSED, by=by, at=at)
    present: Refusal | None = holding.refusals.in_force(at).filter(firm=firm).first()
    if present is not None:
        return present
    refusal = Refusal.objects.create(holding=holding, firm=firm, starts=at)
    ledger.record(Verb.FIRM_REFUSED, of=refusal, by=by, at=at)
    return refusal


@transaction.atomic
def lodge_refusal(
    *, number: PhoneNumber, firm: Firm, against: Firm, said_at: datetime, by: Actor, at: datetime
) -> LodgedRefusal:
    """A firm was told to stop and says so: `against` is refused from now on by whoever holds the number.

    When it was said is kept beside; it dates nothing.
    """
    demand_lodgeable(said_at, at)
    holding = hold(number=number, source=HoldingSource.FIRM, by=by, at=at)
    try:
        refuse_firm(holding=holding, firm=against, by=by, at=at)
    except Refused as error:
        # The number was handed over in this very moment. That is nothing for a firm to learn.
        raise CannotRule(_("The registry is busy with this number. Try again shortly.")) from error
    lodged = LodgedRefusal.objects.create(
        holding=holding, firm=firm, against=against, said_at=min(said_at, at), lodged_at=at
    )
    ledger.record(Verb.REFUSAL_LODGED, of=lodged, by=by, at=at)
    return lodged


def demand_lodgeable(said_at: datetime, at: datetime) -> None:
    """Raises `Refused` for a time that has not come yet, or came too long ago."""
    if said_at > at + CLOCK_SLACK:
        raise Refused("said_at_ahead", _("This time has not come yet. Say when you were told."), field="said_at")
    if said_at < at - LODGED_WITHIN:
        raise Refused("said_at_too_old", _("Lodge a refusal within 30 days of the call."), field="said_at")


@transaction.atomic
def set_preference(
    *,
    holding: Holding,
    weekday: Block | None,
    rest_day: Block | None,
    no_requests: bool,
    by: Actor,
    at: datetime,
) -> Preference:
    """*Call me only between* and *don't even ask me*; takes the place of what was preferred before."""
    at = _lock(holding, at)
    _demand_hours("weekday", weekday)
    _demand_hours("rest_day", rest_day)
    wanted: dict[str, Any] = {
        "weekday_from": weekday and weekday[0],
        "weekday_until": weekday and weekday[1],
        "rest_day_from": rest_day and rest_day[0],
        "rest_day_until": rest_day and rest_day[1],
        "no_requests": no_requests,
    }
    present: Preference | None = holding.preferences.in_force(at).first()
    if present is not None and all(getattr(present, name) == value for name, value in wanted.items()):
        return present
    _close_all(holding.preferences.in_force(at), Verb.PREFERENCE_ENDED, by=by, at=at)
    preference = Preference.objects.create(holding=holding, starts=at, **wanted)
    ledger.record(Verb.PREFERENCE_SET, of=preference, by=by, at=at)
    return preference


# --- permitting --------------------------------------------------------------------------------------


@transaction.atomic
def authorize(
    *,
    holding: Holding,
    firm: Firm,
    about: Matter | Purpose,
    channels: Channel,
    by: Actor,
    at: datetime,
    months: int | None = None,
    cap_days: int | None = None,
) -> Authorization:
    """Permits one firm to contact one number about one matter, or about a whole purpose.

    Lasts `months` calendar months (policy: 6, at most 24), to the local midnight. Takes the place of an earlier
    permission for the same; lifts a refusal of the firm. A matter's wording is pinned as it stands. The citizen is
    owed notice of it, and of its end.
    """
    _demand_channels(channels)
    rules = _rules(at)
    months = rules.authorization_months if months is None else months
    if not 1 <= months <= rules.authorization_months_most:
        raise Refused(
            "bad_term",
            _("An authorization lasts 1 to {most} months.").format(most=rules.authorization_months_most),
            field="months",
        )
    if cap_days is not None and cap_days < 1:
        raise Refused("bad_cap", _("Permit calls on at least one day."), field="cap_days")
    matter, purpose = (about, about.purpose) if isinstance(about, Matter) else (None, about)
    if purpose.kind != PurposeKind.MARKETING:
        raise Refused("not_marketing", _("Service messages need no authorization."), field="purpose")
    if matter is not None and (matter.firm_id != firm.pk or not _has_begun(matter, at)):
        raise Refused("unknown_matter", _("This firm has no approved matter of that name."), field="matter")
    at = _lock(holding, at)
    _end_authorizations(
        holding.authorizations.in_force(at).filter(firm=firm, purpose=purpose, matter=matter),
        Ended.REPLACED,
        by=by,
        at=at,
    )
    _close_all(holding.refusals.in_force(at).filter(firm=firm), Verb.REFUSAL_LIFTED, by=by, at=at)
    authorization = Authorization.objects.create(
        holding=holding,
        firm=firm,
        purpose=purpose,
        matter=matter,
        wording=matter.wordings.order_by("-version")[0] if matter else None,
        channels=int(channels),
        cap_days=cap_days,
        starts=at,
        ends=rules.months_later(at, months),
    )
    ledger.record(Verb.AUTHORIZED, of=authorization, by=by, at=at)
    owed.owe(authorization, notices.due_of(authorization), at=at)
    return authorization


@transaction.atomic
def revoke(*, authorizations: QuerySet[Authorization], by: Actor, at: datetime) -> int:
    """Takes permissions back, obeyed by every later check (law 2). Returns how many were in force."""
    ended = 0
    for holding in Holding.objects.filter(pk__in=authorizations.values("holding"), ends__isnull=True).order_by("pk"):
        since = _lock(holding, at)
        mine = authorizations.filter(holding=holding, starts__lte=since, ends__gt=since)
        ended += _end_authorizations(mine, Ended.REVOKED, by=by, at=since)
    return ended


def _end_authorizations(authorizations: QuerySet[Authorization], how: Ended, *, by: Actor, at: datetime) -> int:
    ids = list(authorizations.values_list("pk", flat=True))
    # The database decides who was first: a row that another has ended meanwhile is not ended again.
    ended = [pk for pk in ids if Authorization.objects.filter(pk=pk, ended="", ends__gt=at).update(ends=at, ended=how)]
    ledger.record_all(
        Verb.AUTHORIZATION_ENDED, of=Authorization.objects.filter(pk__in=ended).order_by("pk"), by=by, at=at
    )
    return len(ended)


def _close_all(rows: QuerySet[Any], verb: Verb, *, by: Actor, at: datetime) -> int:
    """Ends rows now and writes an event for each; returns how many."""
    every = rows.model._default_manager
    closed = [
        pk
        for pk in rows.order_by("pk").values_list("pk", flat=True)
        if every.filter(Q(ends__isnull=True) | Q(ends__gt=at), pk=pk).update(ends=at)
    ]
    ledger.record_all(verb, of=every.filter(pk__in=closed).order_by("pk"), by=by, at=at)
    return len(closed)


def _lock(holding: Holding, at: datetime) -> datetime:
    """Has what is said about a number said one after the other; returns the instant to say it at.

    Locks the holding until the transaction ends. Whoever had to wait may hold an older stamp than what was said
    meanwhile; the later act must not be dated before the earlier one, or it would end nothing and beat it unseen.
    Raises `Refused` (`holding_ended`): what is said for a holding that has ended nobody would obey.
    """
    present = Holding.objects.select_for_update().filter(pk=holding.pk, ends__isnull=True).first()
    if present is None:
        raise Refused("holding_ended", _("This number has a new holder. Prove it again to go on."))
    said: list[datetime | None] = [at, present.starts]
    for rows in (present.registrations, present.refusals, present.preferences):
        said += rows.aggregate(starts=Max("starts"), ends=Max("ends")).values()
    said += present.authorizations.aggregate(starts=Max("starts"), ends=Max("ends", filter=~Q(ended=""))).values()
    return max(instant for instant in said if instant is not None)


def _demand_channels(channels: Channel) -> None:
    if not channels:
        raise Refused("no_channel", _("Name at least one channel: voice, robocall or sms."), field="channels")


def _demand_hours(field: str, block: Block | None) -> None:
    if block is not None and not (0 <= block[0] < MINUTES_OF_DAY and 0 <= block[1] <= MINUTES_OF_DAY):
        raise Refused("bad_hours", _("Give both hours of a day, from 00:00 to 24:00."), field=field)


def _has_begun(matter: Matter, at: datetime) -> bool:
    return matter.starts is not None and matter.in_force(at)


def _rules(at: datetime) -> policies.Rules:
    present = Policy.objects.in_force(at).first()
    if present is None:
        raise Refused("no_policy", _("No policy is in force. The registry's operator must publish one."))
    return policies.read(present.document)
