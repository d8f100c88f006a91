"""The words of who may call, and on what terms."""

from __future__ import annotations

from enum import IntFlag

from django.db import models
from django.utils.translation import gettext_lazy as _


class PurposeKind(models.TextChoices):
    MARKETING = "marketing", _("marketing")
    SERVICE = "service", _("service")


class Stance(models.TextChoices):
    """What a marketing call needs: an authorization, or merely that nobody refused it."""

    CONSENT = "consent", _("no call without authorization")
    OPEN = "open", _("may call until refused")


class Channel(IntFlag):
    """How a number is contacted. Stored as a bit mask wherever several are meant."""

    VOICE = 1
    ROBOCALL = 2  # recorded or synthetic voice
    SMS = 4

    @property
    def label(self) -> str:
        """The word of the HTTP contract; for one channel only."""
        return (self.name or "").lower()

    @classmethod
    def named(cls, label: str) -> Channel:
        return cls[label.upper()]


ALL_CHANNELS = Channel.VOICE | Channel.ROBOCALL | Channel.SMS


class Mode(models.TextChoices):
    LIVE = "live", _("live")
    TEST = "test", _("test")


class Scope(models.TextChoices):
    """What a key may be used for."""

    CHECK = "check", _("single checks")
    BATCH = "batch", _("batches of checks")
    AUTHORIZATIONS = "authorizations", _("one's own authorizations, and refusals to lodge")
    ACCOUNT = "account", _("one's own calling numbers, matters and mandates")


class Step(models.TextChoices):
    """The ladder of design §4, and the system's brake. Only the last three of these stop calls."""

    REMINDER = "reminder", _("reminder")
    INTERVIEW = "interview", _("interview")
    RECTIFICATION = "rectification", _("rectification order")
    SUSPENSION = "suspension", _("suspension")
    BAR = "bar", _("bar")
    BRAKE = "brake", _("automatic brake")


STOPS_CALLS = (Step.SUSPENSION, Step.BAR, Step.BRAKE)
NEEDS_TWO_PEOPLE = (Step.SUSPENSION, Step.BAR)
