"""How many rulings are kept in few rows, so that any one number among them can be found again.

A check set is cut into segments by the first bits of the pseudonyms, which are as good as random. A segment holds
its entries in order: 16 bytes of pseudonym, one of the reason told, one of the true reason. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from consents.terms import Reason

# One byte in stored rows: a code, once used, never changes its meaning.
CODES = {
    Reason.INVALID_NUMBER: 1,
    Reason.FIRM_NOT_APPROVED: 2,
    Reason.FIRM_BARRED: 3,
    Reason.NOT_MANDATED: 4,
    Reason.CALLER_UNREGISTERED: 5,
    Reason.CALLER_SUSPENDED: 6,
    Reason.PURPOSE_NOT_LICENSED: 7,
    Reason.EXEMPT: 8,
    Reason.AUTHORIZATION_REVOKED: 9,
    Reason.FIRM_REFUSED: 10,
    Reason.AUTHORIZATION_EXPIRED: 11,
    Reason.NO_AUTHORIZATION: 12,
    Reason.REGISTERED: 13,
    Reason.OUTSIDE_HOURS: 14,
    Reason.CAP_REACHED: 15,
    Reason.AUTHORIZED: 16,
    Reason.NOT_REGISTERED: 17,
}
REASONS = {code: reason for reason, code in CODES.items()}

PSEUDONYM = 16
ENTRY = PSEUDONYM + 2
ENTRIES_A_SEGMENT = 4096  # 72 KB: small enough to fetch for one number


class Packed(NamedTuple):
    pseudonym: bytes
    reason: Reason
    inner: Reason


def segments_for(entries: int) -> int:
    """How many segments a set of so many entries is cut into: a power of two."""
    return 1 << max(0, (entries - 1) // ENTRIES_A_SEGMENT).bit_length()


def segment_of(pseudonym: bytes, segments: int) -> int:
    return int.from_bytes(pseudonym[:4], "big") * segments >> 32


def pack(entries: Iterable[Packed], segments: int) -> Iterator[tuple[int, bytes]]:
    """(segment, packed entries) for every segment, empty or not, so that one that was removed is missed."""
    cut: dict[int, list[bytes]] = {}
    for entry in entries:
        line = entry.pseudonym + bytes((CODES[entry.reason], CODES[entry.inner]))
        cut.setdefault(segment_of(entry.pseudonym, segments), []).append(line)
    for segment in range(segments):
        yield segment, b"".join(sorted(cut.get(segment, ())))


def find(packed: bytes, pseudonym: bytes) -> list[Packed]:
    """Every entry of a number in its segment; a number asked about twice has two."""
    count = len(packed) // ENTRY
    first = bisect_left(range(count), pseudonym, key=lambda index: packed[index * ENTRY : index * ENTRY + PSEUDONYM])
    found = []
    for index in range(first, count):
        entry = packed[index * ENTRY : (index + 1) * ENTRY]
        if entry[:PSEUDONYM] != pseudonym:
            break
        found.append(Packed(pseudonym, REASONS[entry[PSEUDONYM]], REASONS[entry[PSEUDONYM + 1]]))
    return found
