"""Ids that sort by the time they were made at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record.ids import EPOCH, first_uuid, uuid7

AT = datetime(2026, 1, 7, 2, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

# To the microsecond, until the year 5138.
instants = st.integers(0, 10**17).map(lambda microseconds: EPOCH + timedelta(microseconds=microseconds))


@given(instants)
def test_an_id_is_a_version_7_uuid(at: datetime) -> None:
    made = uuid7(at)
    assert (made.version, made.variant) == (7, RFC_4122)


@given(instants)
def test_an_id_begins_with_the_milliseconds_of_its_instant(at: datetime) -> None:
    assert EPOCH + (uuid7(at).int >> 80) * MILLISECOND <= at < EPOCH + ((uuid7(at).int >> 80) + 1) * MILLISECOND


@given(instants, instants)
def test_ids_sort_by_time(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    if later - earlier >= MILLISECOND:
        assert uuid7(earlier) < uuid7(later)


@given(instants)
def test_the_bound_of_an_instant_parts_the_ids_before_it_from_those_since(at: datetime) -> None:
    assert first_uuid(at) < uuid7(at)
    if at - EPOCH >= MILLISECOND:
        assert uuid7(at - MILLISECOND) < first_uuid(at)


def test_an_instant_is_the_same_in_every_zone() -> None:
    shanghai = AT.astimezone(timezone(timedelta(hours=8)))
    assert first_uuid(shanghai) == first_uuid(AT)


def test_many_ids_of_one_instant_are_all_different() -> None:
    assert len({uuid7(AT) for _time in range(10_000)}) == 10_000


def test_every_random_bit_is_used() -> None:
    """All of 74: the rest of the 128 are time, version and variant."""
    ids = [uuid7(AT).int for _time in range(200)]
    varying = 0
    for made in ids:
        varying |= made ^ ids[0]
    assert varying.bit_count() == 74


def test_the_example_of_the_standard() -> None:
    """RFC 9562, appendix A.6: 22 February 2022, 14:22:22 at GMT-5."""
    at = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert str(first_uuid(at)).startswith("017f22e2-79b0-")
    assert UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") > first_uuid(at)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        uuid7(datetime(2026, 1, 7))  # noqa: DTZ001
