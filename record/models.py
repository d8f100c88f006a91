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
from record.terms import ActorKind, Verb


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
    # What only this key encrypts to: two files of one name may hold two keys. The first key has none kept.
    proof = models.BinaryField(max_length=16, null=True)

    guards = (ClosesOnly(ends_once=True),)

    class Meta:
        constraints = [runs_forwards("record_keyinuse")]

    def __str__(self) -> str:
        return f"number key {self.pk}"
