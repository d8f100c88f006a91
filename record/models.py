"""Who acts, which numbers the registry has met, and the events that nothing may rewrite."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import F, Q

from record import seals
from record.guards import AppendOnly, ClosesOnly, RekeyedUpwards
from record.terms import ActorKind, NoticeKind, Trouble, Verb


class UserManager(BaseUserManager["User"]):
    """The regulator's staff and the members of firms; they sign in with e-mail and password."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person with a sign-in of their own: the regulator's staff, or a member of a firm. Never a subscriber."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name


class Number(models.Model):
    """A subscriber's number that the registry has met: the only lasting home of its pseudonym (design §8).

    `key` says which number key made the pseudonym. Every other table holds this row's id.
    """

    pseudonym = models.BinaryField(max_length=16, unique=True)
    key = models.PositiveSmallIntegerField()

    guards = (RekeyedUpwards(),)

    def __str__(self) -> str:
        return f"number {self.pk}"


class Event(models.Model):
    """One line of the append-only record. Names actor and object by kind and id, without foreign keys."""

    verb = models.CharField(max_length=40, choices=Verb)
    actor_kind = models.CharField(max_length=10, choices=ActorKind)
    actor_id = models.BigIntegerField(null=True)
    object_kind = models.CharField(max_length=30)
    object_id = models.CharField(max_length=40)
    at = models.DateTimeField()
    state = models.JSONField()
    seal = models.BinaryField(max_length=seals.LENGTH)  # over the line, and over the one before it on the object

    guards = (AppendOnly(),)

    class Meta:
        indexes = [models.Index(fields=["object_kind", "object_id", "id"], name="event_of_object")]

    def __str__(self) -> str:
        return f"{self.verb} {self.object_kind} {self.object_id}"


class DatedQuerySet(models.QuerySet[Any]):
    def in_force(self, at: datetime) -> Self:
        return self.filter(Q(ends__isnull=True) | Q(ends__gt=at), starts__lte=at)

    def waiting(self, at: datetime) -> Self:
        """Not begun and not given up: what waits for an approval has no `starts`."""
        return self.filter(Q(ends__isnull=True) | Q(ends__gt=at)).exclude(starts__lte=at)

    def over(self, at: datetime) -> Self:
        return self.filter(ends__lte=at)


class Dated(models.Model):
    """Something that holds from `starts` (included) to `ends` (not included); no `ends`: until further notice."""

    starts = models.DateTimeField()
    ends = models.DateTimeField(null=True, blank=True)

    objects = DatedQuerySet.as_manager()

    class Meta:
        abstract = True

    def in_force(self, at: datetime) -> bool:
        return self.starts <= at and (self.ends is None or at < self.ends)


def runs_forwards(table: str) -> models.CheckConstraint:
    """An interval may be empty (ended in the instant it began), never backwards."""
    return models.CheckConstraint(
        condition=Q(ends__isnull=True) | Q(ends__gte=F("starts")), name=f"{table}_runs_forwards"
    )


class KeyInUse(Dated):
    """A number key that rows of `Number` stand under, from when it was announced until none is left under it.

    New rows are written under the highest that is in use. Every statement that looks a number up reads these too, so
    that a process without one of the keys cannot take a number for unknown (record/stored_numbers.py).
    State of the machinery, without events: each row is written once and closed once.
    """

    id = models.PositiveSmallIntegerField(primary_key=True)
    # What only this key encrypts to: two files of one name may hold two keys. The first key's is kept once it is known
    # to read the numbers (record/stored_numbers.py, `keep_proofs`).
    proof = models.BinaryField(max_length=16, null=True)

    guards = (ClosesOnly(once=("proof",), ends_once=True),)

    class Meta:
        constraints = [runs_forwards("record_keyinuse")]

    def __str__(self) -> str:
        return f"number key {self.pk}"


UNSETTLED = Q(sent_at__isnull=True, dropped_at__isnull=True, dead_at__isnull=True)


class NoticeQuerySet(models.QuerySet["Notice"]):
    def unsettled(self) -> Self:
        return self.filter(UNSETTLED)

    def due(self, at: datetime) -> Self:
        """Owed, its time has come, and nobody is at it or pausing after a failure."""
        return self.unsettled().filter(Q(leased_until__isnull=True) | Q(leased_until__lte=at), due_at__lte=at)


class Notice(models.Model):
    """A message to a citizen that the registry owes, written in the transaction of the change that it tells of.

    Holds no number and no text: `record/notices.py` has it composed when it is sent. It is settled by being sent,
    dropped (no longer owed when its time came) or dead (given up; an operator may owe it again).
    """

    id = models.UUIDField(primary_key=True)  # told to the gateway, which drops a repeat by it
    kind = models.CharField(max_length=40, choices=NoticeKind)
    about_kind = models.CharField(max_length=30)
    about_id = models.CharField(max_length=40)
    made_at = models.DateTimeField()
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True)  # nobody else touches it before
    attempts = models.PositiveSmallIntegerField(default=0)
    last_error = models.CharField(max_length=20, choices=Trouble, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    dropped_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "about_kind", "about_id"], name="notice_is_owed_once"),
            models.CheckConstraint(
                condition=UNSETTLED
                | Q(sent_at__isnull=False, dropped_at__isnull=True, dead_at__isnull=True)
                | Q(sent_at__isnull=True, dropped_at__isnull=False, dead_at__isnull=True)
                | Q(sent_at__isnull=True, dropped_at__isnull=True, dead_at__isnull=False),
                name="notice_is_settled_one_way",
            ),
            models.CheckConstraint(
                condition=Q(leased_until__isnull=True) | UNSETTLED, name="notice_settled_is_nobodys_work"
            ),
            models.CheckConstraint(
                condition=Q(sent_at__isnull=True) | Q(attempts__gte=1), name="notice_sent_was_attempted"
            ),
            models.CheckConstraint(
                condition=Q(dead_at__isnull=True) | ~Q(last_error=""), name="notice_dead_says_of_what"
            ),
            models.CheckConstraint(
                condition=Q(last_error__in=["", *Trouble.values]), name="notice_error_is_a_known_word"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=UNSETTLED, name="notice_due"),
            models.Index(fields=["sent_at"], condition=Q(sent_at__isnull=False), name="notice_sent"),
            models.Index(fields=["dropped_at"], condition=Q(dropped_at__isnull=False), name="notice_dropped"),
            models.Index(fields=["dead_at"], condition=Q(dead_at__isnull=False), name="notice_dead"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.about_kind} {self.about_id}"


class BeatLease(models.Model):
    """Which of the beats may tick, and until when: one row (record/beat.py)."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    holder = models.CharField(max_length=32)
    until = models.DateTimeField()
    ticked_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="beat_lease_is_one_row")]

    def __str__(self) -> str:
        return f"beat {self.holder}"
