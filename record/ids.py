"""Ids that sort by time: UUID version 7 (RFC 9562, section 5.7), which Python has from 3.14 on."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from uuid import UUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def uuid7(at: datetime) -> UUID:
    """A new id made at `at`: 48 bits of milliseconds, 74 random bits."""
    random = secrets.randbits(74)
    return UUID(int=_milliseconds(at) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1)


def first_uuid(at: datetime) -> UUID:
    """The bound below every id made at or after `at`, and above all earlier ones."""
    return UUID(int=_milliseconds(at) << 80)


def _milliseconds(at: datetime) -> int:
    since = at - EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
