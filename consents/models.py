"""What subscribers have said about their numbers, and the record of what firms asked and were told.

What a subscriber says belongs to a holding (the time during which one person holds a number) and ends with it.
Dated rows are closed, never overwritten, so that a call can be ruled on as things stood.
"""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from consents.terms import AuthorizationStatus, Ended, HoldingSource, Reason, Verdict
from record.guards import AppendOnly, ClosesOnly, NoOverlap
from record.models import Dated, DatedQuerySet, Number, runs_forwards
from record.partitions import KEPT_DAYS
from record.seals import LENGTH, SealField
from telemarketers.models import Credential, Firm, Matter, Policy, Purpose, Wording
from telemarketers.terms import ALL_CHANNELS

MINUTES_OF_DAY = 24 * 60


def some_channels(table: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(channels__gte=1, channels__lte=int(ALL_CHANNELS)), name=f"{table}_has_channels"
    )


class Subscriber(models.Model):
    """A person who has proved control of a number. Known by nothing else."""

    since = models.DateTimeField()

    def __str__(self) -> str:
        return f"subscriber {self.pk}"


class Holding(Dated):
    """The time during which one person holds a number; unclaimed until that person proves it."""

    number = models.ForeignKey(Number, models.PROTECT, db_index=False, related_name="holdings")
    subscriber = models.ForeignKey(Subscriber, models.PROTECT, null=True, blank=True, related_name="holdings")
    source = models.CharField(max_length=10, choices=HoldingSource)

    guards = (ClosesOnly(once=("subscriber_id",), ends_once=True), NoOverlap(("number_id",), born_open=True))

    class Meta:
        constraints = [runs_forwards("holding")]
        indexes = [models.Index(fields=["number", "starts"], name="holding_of_number")]

    def __str__(self) -> str:
        return f"holding {self.pk}"


class Registration(Dated):
    """The do-not-call refusal of a number: all marketing (no purpose) or one purpose, on some channels."""

    holding = models.ForeignKey(Holding, models.PROTECT, db_index=False, related_name="registrations")
    # No index: nearly all rows are alike in it, which PostgreSQL does not know before it has counted.
    purpose = models.ForeignKey(Purpose, models.PROTECT, null=True, blank=True, db_index=False)
    channels = models.PositiveSmallIntegerField()

    guards = (ClosesOnly(ends_once=True), NoOverlap(("holding_id",), or_none=("purpose_id",), born_open=True))

    class Meta:
        constraints = [runs_forwards("registration"), some_channels("registration")]
        indexes = [models.Index(fields=["holding", "starts"], name="registration_of_holding")]

    def __str__(self) -> str:
        return f"registration {self.pk}"


class AuthorizationQuerySet(DatedQuerySet):
    def of_status(self, status: str, at: datetime) -> Self:
        if status == AuthorizationStatus.IN_FORCE:
            return self.in_force(at)
        over = self.filter(ends__lte=at)
        return over.filter(ended="") if status == AuthorizationStatus.EXPIRED else over.exclude(ended="")

    def changed_between(self, since: datetime, at: datetime) -> Self:
        """Granted, ended or expired in that time."""
        return self.filter(Q(starts__gte=since) | Q(ends__gte=since, ends__lte=at))


class Authorization(Dated):
    """Permission for one firm to contact one number for one matter, or (no matter) for one purpose."""

    holding = models.ForeignKey(Holding, models.PROTECT, db_index=False, related_name="authorizations")
    firm = models.ForeignKey(Firm, models.PROTECT, db_index=False, related_name="authorizations")
    purpose = models.ForeignKey(Purpose, models.PROTECT)
    matter = models.ForeignKey(Matter, models.PROTECT, null=True, blank=True)
    wording = models.ForeignKey(Wording, models.PROTECT, null=True, blank=True)
    channels = models.PositiveSmallIntegerField()
    cap_days = models.PositiveSmallIntegerField(null=True, blank=True)  # the citizen's own, instead of the policy's
    ends = models.DateTimeField()
    ended = models.CharField(max_length=10, choices=Ended, blank=True)

    objects = AuthorizationQuerySet.as_manager()  # type: ignore[misc]

    guards = (
        ClosesOnly(once=("ended",)),
        NoOverlap(("holding_id", "firm_id", "purpose_id"), or_none=("matter_id",)),
    )

    class Meta:
        constraints = [
            runs_forwards("authorization"),
            some_channels("authorization"),
            models.CheckConstraint(
                condition=Q(matter__isnull=True, wording__isnull=True) | Q(matter__isnull=False, wording__isnull=False),
                name="authorization_is_pinned_to_a_wording",
            ),
        ]
        indexes = [
            models.Index(fields=["holding", "firm", "purpose", "starts"], name="authorization_of_holding"),
            models.Index(fields=["firm", "ends"], name="authorization_of_firm"),
            models.Index(fields=["firm", "id"], name="authorization_by_page"),  # its own list, newest first
        ]

    def __str__(self) -> str:
        return f"authorization {self.pk}"

    def status(self, at: datetime) -> AuthorizationStatus:
        """Revoked is whatever ended otherwise than by expiry, whoever ended it and why."""
        if at < self.ends:
            return AuthorizationStatus.IN_FORCE
        return AuthorizationStatus.REVOKED if self.ended else AuthorizationStatus.EXPIRED


class Refusal(Dated):
    """Never this firm: all its marketing, through any agent."""

    holding = models.ForeignKey(Holding, models.PROTECT, db_index=False, related_name="refusals")
    firm = models.ForeignKey(Firm, models.PROTECT, related_name="refusals")

    guards = (ClosesOnly(ends_once=True), NoOverlap(("holding_id", "firm_id"), born_open=True))

    class Meta:
        constraints = [runs_forwards("refusal")]
        indexes = [models.Index(fields=["holding", "starts"], name="refusal_of_holding")]

    def __str__(self) -> str:
        return f"refusal {self.pk}"


class LodgedRefusal(models.Model):
    """A firm says that somebody told it to stop: when, and against whom it lodges that (itself, or its client).

    Each time it is said is kept, though the refusal that follows may have stood before.
    """

    holding = models.ForeignKey(Holding, models.PROTECT, related_name="lodged_refusals")
    firm = models.ForeignKey(Firm, models.PROTECT, related_name="+")  # that made the call
    against = models.ForeignKey(Firm, models.PROTECT, related_name="lodged_refusals")
    said_at = models.DateTimeField()  # what the firm remembers
    lodged_at = models.DateTimeField()

    guards = (AppendOnly(),)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(said_at__lte=F("lodged_at")), name="refusal_is_lodged_after_it_was_said")
        ]

    def __str__(self) -> str:
        return f"lodged refusal {self.pk}"


class Preference(Dated):
    """Call me only between (minutes of the local day; may wrap midnight), and: don't even ask me.

    A pair of NULLs means any time; equal ends mean never on such days.
    """

    holding = models.ForeignKey(Holding, models.PROTECT, db_index=False, related_name="preferences")
    weekday_from = models.PositiveSmallIntegerField(null=True, blank=True)
    weekday_until = models.PositiveSmallIntegerField(null=True, blank=True)
    rest_day_from = models.PositiveSmallIntegerField(null=True, blank=True)
    rest_day_until = models.PositiveSmallIntegerField(null=True, blank=True)
    no_requests = models.BooleanField(default=False)

    guards = (ClosesOnly(ends_once=True), NoOverlap(("holding_id",), born_open=True))

    class Meta:
        constraints = [
            runs_forwards("preference"),
            models.CheckConstraint(
                condition=Q(weekday_from__isnull=True, weekday_until__isnull=True)
                | Q(weekday_from__isnull=False, weekday_until__isnull=False)
                & Q(weekday_from__lt=MINUTES_OF_DAY, weekday_until__lte=MINUTES_OF_DAY),
                name="preference_weekday_hours_are_a_pair",
            ),
            models.CheckConstraint(
                condition=Q(rest_day_from__isnull=True, rest_day_until__isnull=True)
                | Q(rest_day_from__isnull=False, rest_day_until__isnull=False)
                & Q(rest_day_from__lt=MINUTES_OF_DAY, rest_day_until__lte=MINUTES_OF_DAY),
                name="preference_rest_day_hours_are_a_pair",
            ),
        ]
        indexes = [models.Index(fields=["holding", "starts"], name="preference_of_holding")]

    def __str__(self) -> str:
        return f"preference {self.pk}"


class Recorded(models.Model):
    """What every recorded question has in common, one number or many: who asked, for what, and until when it holds."""

    id = models.UUIDField(primary_key=True)  # version 7, of `checked_at`; also the receipt's `jti`
    checked_at = models.DateTimeField()
    for_time = models.DateTimeField()
    valid_until = models.DateTimeField()
    # No database-level foreign keys: these rows are written by the thousand a second and age out by themselves.
    firm = models.ForeignKey(Firm, models.DO_NOTHING, db_constraint=False, related_name="+")
    credential = models.ForeignKey(Credential, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    principal = models.ForeignKey(
        Firm, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    on_behalf_of = models.CharField(max_length=18, blank=True)  # as asked; there may be no such firm
    caller = models.CharField(max_length=24, blank=True)  # in clear: the firm's own number, or a service code
    caller_pseudonym = models.BinaryField(max_length=16, null=True)  # any other caller
    number_key = models.PositiveSmallIntegerField()  # that the pseudonyms here were made with
    purpose = models.ForeignKey(
        Purpose, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    matter = models.ForeignKey(
        Matter, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    channel = models.PositiveSmallIntegerField()
    policy = models.ForeignKey(Policy, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    client_ref = models.CharField(max_length=100, blank=True)  # numbers in it masked
    seal = SealField(max_length=LENGTH)

    told_by_id = True  # when a row was made, its id says (record/clock.py)

    class Meta:
        abstract = True


class CheckRecord(Recorded):
    """One number asked about, and what was told. By month on PostgreSQL (record/partitions.py)."""

    callee = models.BinaryField(max_length=16, null=True)  # pseudonym; none for what is no number
    callee_range = models.CharField(max_length=20, blank=True)
    callee_area = models.CharField(max_length=20, blank=True)
    verdict = models.CharField(max_length=5, choices=Verdict)
    reason = models.CharField(max_length=25, choices=Reason)
    inner_reason = models.CharField(max_length=25, choices=Reason)  # what the reason told may not show
    detail = models.CharField(max_length=30, blank=True)
    authorization = models.ForeignKey(  # that the allow rests on
        Authorization, models.DO_NOTHING, null=True, db_constraint=False, related_name="checks"
    )

    by_month = True
    guards = (AppendOnly(KEPT_DAYS, since="checked_at"),)

    class Meta:
        indexes = [models.Index(fields=["callee", "id"], name="check_of_callee")]

    def __str__(self) -> str:
        return f"check {self.pk}"


class CheckSet(Recorded):
    """Many numbers asked about at once. The numbers and rulings are in its segments."""

    rows = models.PositiveIntegerField()
    segments = models.PositiveIntegerField()
    # The receipt's digests, encrypted under `number_key`: the plain digest of a set of one or two numbers would
    # give them away to whoever tries all numbers.
    input_digest = models.BinaryField(max_length=32)
    result_digest = models.BinaryField(max_length=32)

    guards = (AppendOnly(KEPT_DAYS, since="checked_at"),)
    made_of = {"packed": "segments"}  # rows that belong to it, and the column that says how many

    def __str__(self) -> str:
        return f"check set {self.pk}"


class CheckSegment(models.Model):
    """A part of a check set: pseudonyms and what was told, packed (consents/packing.py)."""

    check_set = models.ForeignKey(CheckSet, models.CASCADE, related_name="packed")
    segment = models.PositiveIntegerField()
    packed = models.BinaryField()
    seal = SealField(max_length=LENGTH)

    guards = (AppendOnly(KEPT_DAYS, since="check_set_id"),)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["check_set", "segment"], name="segment_is_one_of_its_set")]

    def __str__(self) -> str:
        return f"segment {self.segment} of {self.check_set_id}"


class AllowDay(models.Model):
    """A day on which an allow was answered for a number, to one principal for one matter or purpose.

    What the cap counts. A second allow on the same day adds nothing.
    """

    principal = models.ForeignKey(Firm, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    purpose = models.ForeignKey(Purpose, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    matter_id = models.BigIntegerField(default=0)  # 0: the purpose as a whole
    callee = models.BinaryField(max_length=16)
    number_key = models.PositiveSmallIntegerField()
    day = models.DateField()
    noted_at = models.DateTimeField()
    seal = SealField(max_length=LENGTH)

    guards = (AppendOnly(KEPT_DAYS, since="noted_at"),)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["callee", "principal", "purpose", "matter_id", "day"],
                name="allow_day_is_counted_once",
            )
        ]
        indexes = [models.Index(fields=["day"], name="allow_day_by_age")]

    def __str__(self) -> str:
        return f"{self.day}"


class RegistrationImport(models.Model):
    """How far the import of a file has come (consents/imports.py); committed with what was imported.

    A file is known by its digest, encrypted under `number_key`: the plain digest of a file with a single number in it
    would give that number away to whoever tries all numbers.
    """

    digest = models.BinaryField(max_length=32)
    number_key = models.PositiveSmallIntegerField()
    column = models.CharField(max_length=100, blank=True)  # digits that could be a number masked
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    lines = models.PositiveBigIntegerField(default=0)  # done
    added = models.PositiveBigIntegerField(default=0)
    already = models.PositiveBigIntegerField(default=0)
    refused = models.JSONField(default=dict)  # reason: lines
    report_bytes = models.PositiveBigIntegerField(default=0)  # of the report of refused lines, up to `lines`

    class Meta:
        constraints = [models.UniqueConstraint(fields=["digest", "column"], name="file_is_imported_once")]

    def __str__(self) -> str:
        return f"import {self.pk}"
