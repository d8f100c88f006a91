"""Many rulings in few rows: whatever was packed is found with its reasons, and nothing else is. No database."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consents import packing
from consents.packing import CODES, ENTRIES_A_SEGMENT, ENTRY, REASONS, Packed
from consents.terms import Reason

# Few enough that some are drawn twice, and differing in first and last bytes.
near = st.builds(lambda first, last: bytes([first]) + bytes(14) + bytes([last]), st.integers(0, 255), st.integers(0, 1))
pseudonyms = near | st.binary(min_size=16, max_size=16)
entries = st.builds(Packed, pseudonyms, st.sampled_from(Reason), st.sampled_from(Reason))
segment_counts = st.integers(0, 6).map(lambda bits: 1 << bits)


def found(packed: dict[int, bytes], segments: int, pseudonym: bytes) -> list[Packed]:
    """As the record is searched: one segment is fetched, and the number looked up in it."""
    return packing.find(packed.get(packing.segment_of(pseudonym, segments), b""), pseudonym)


@given(st.lists(entries, max_size=60), segment_counts)
def test_every_number_is_found_with_its_reasons_as_often_as_it_was_asked(packed: list[Packed], segments: int) -> None:
    stored = dict(packing.pack(packed, segments))
    for pseudonym in {entry.pseudonym for entry in packed}:
        expected = Counter(entry for entry in packed if entry.pseudonym == pseudonym)
        assert Counter(found(stored, segments, pseudonym)) == expected


@given(st.lists(entries, max_size=60), segment_counts, pseudonyms)
def test_a_number_that_was_not_asked_about_is_not_found(packed: list[Packed], segments: int, other: bytes) -> None:
    stored = dict(packing.pack([entry for entry in packed if entry.pseudonym != other], segments))
    assert found(stored, segments, other) == []


@given(st.lists(entries, max_size=60), segment_counts)
def test_nothing_is_stored_but_the_entries(packed: list[Packed], segments: int) -> None:
    stored = dict(packing.pack(packed, segments))
    assert sum(map(len, stored.values())) == ENTRY * len(packed)
    assert list(stored) == list(range(segments))


@given(st.lists(entries, max_size=30), segment_counts)
def test_the_order_asked_in_is_not_stored(packed: list[Packed], segments: int) -> None:
    assert dict(packing.pack(packed, segments)) == dict(packing.pack(packed[::-1], segments))


@given(pseudonyms, segment_counts)
def test_a_segment_is_cut_in_two_by_doubling(pseudonym: bytes, segments: int) -> None:
    assert packing.segment_of(pseudonym, 2 * segments) // 2 == packing.segment_of(pseudonym, segments)


@pytest.mark.parametrize(
    ("count", "segments"),
    [
        (0, 1),
        (1, 1),
        (ENTRIES_A_SEGMENT, 1),
        (ENTRIES_A_SEGMENT + 1, 2),
        (2 * ENTRIES_A_SEGMENT, 2),
        (2 * ENTRIES_A_SEGMENT + 1, 4),
        (1_000_000, 256),
    ],
)
def test_segments_are_a_power_of_two_and_no_larger_than_fetched_for_one_number(count: int, segments: int) -> None:
    assert packing.segments_for(count) == segments


@pytest.mark.parametrize(("first_bytes", "segment"), [(b"\0\0", 0), (b"\x3f\xff", 0), (b"\x40\0", 1), (b"\xff\xff", 3)])
def test_segments_are_cut_by_the_first_bits(first_bytes: bytes, segment: int) -> None:
    assert packing.segment_of(first_bytes + bytes(14), 4) == segment


def test_every_reason_has_a_code_of_its_own() -> None:
    assert set(CODES) == set(Reason)
    assert len(REASONS) == len(Reason)


def test_codes_never_change_their_meaning() -> None:
    """Stored rows depend on it. A new reason gets a new code at the end."""
    assert [CODES[reason] for reason in Reason] == list(range(1, 18))


def test_the_stored_form_never_changes() -> None:
    entry = Packed(bytes(range(16)), Reason.NO_AUTHORIZATION, Reason.FIRM_REFUSED)
    assert list(packing.pack([entry], 1)) == [(0, bytes(range(16)) + b"\x0c\x0a")]
