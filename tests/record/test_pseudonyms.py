"""A number and its pseudonym under each live key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record.numbers import PhoneNumber
from record.pseudonyms import BLOCK, NumberKey, Pseudonymizer, PseudonymUnreadable, padded

OLD, NEW = NumberKey(1, bytes(range(32))), NumberKey(2, bytes(range(32, 64)))
NUMBERS = Pseudonymizer(NEW, [OLD])
ALICE, BOB = PhoneNumber.parse("13800138000"), PhoneNumber.parse("010 6552 9988")

subscribers = st.from_regex(r"\+86[1-9][0-9]{6,11}", fullmatch=True).map(PhoneNumber)


@given(subscribers)
def test_is_read_back(number: PhoneNumber) -> None:
    pseudonym = NUMBERS.pseudonym(number)
    assert len(pseudonym) == BLOCK
    assert NUMBERS.reveal(NEW.id, pseudonym) == number


def test_is_the_same_each_time_and_another_for_another_number() -> None:
    assert NUMBERS.pseudonym(ALICE) == NUMBERS.pseudonym(ALICE)
    assert NUMBERS.pseudonym(ALICE) != NUMBERS.pseudonym(BOB)


def test_never_changes() -> None:
    """Stored pseudonyms depend on it: the same key and number give these bytes for ever."""
    assert NUMBERS.pseudonym(ALICE).hex() == "eaee1bc64126d13270650e81ba8664e5"


def test_is_looked_up_under_every_live_key_the_current_first() -> None:
    assert NUMBERS.pseudonyms(ALICE) == [
        (NEW.id, Pseudonymizer(NEW).pseudonym(ALICE)),
        (OLD.id, Pseudonymizer(OLD).pseudonym(ALICE)),
    ]


def test_old_pseudonyms_are_read_until_their_key_is_retired() -> None:
    old = Pseudonymizer(OLD).pseudonym(ALICE)
    assert NUMBERS.reveal(OLD.id, old) == ALICE
    with pytest.raises(PseudonymUnreadable):
        Pseudonymizer(NEW).reveal(OLD.id, old)


@given(st.binary(max_size=40))
def test_garbage_is_no_number(garbage: bytes) -> None:
    with pytest.raises(PseudonymUnreadable):
        NUMBERS.reveal(NEW.id, garbage)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"+8613800138000\0x", id="after-the-padding"),
        pytest.param(b"+86\0" + b"1" * 12, id="nul-inside"),
        pytest.param(b"+1202555012300\0\0", id="another-country"),
        pytest.param(b"8613800138000\0\0\0", id="no-plus"),
        pytest.param(b"+8613800138000\n\0", id="line-end"),
        pytest.param(b"\0" * 16, id="nothing"),
    ],
)
def test_only_a_padded_number_is_a_number(block: bytes) -> None:
    with pytest.raises(PseudonymUnreadable):
        NUMBERS.reveal(NEW.id, NUMBERS.encrypt(block))


def test_the_wrong_key_reveals_nothing() -> None:
    with pytest.raises(PseudonymUnreadable):
        NUMBERS.reveal(OLD.id, NUMBERS.pseudonym(ALICE))


@given(st.lists(subscribers, max_size=20))
def test_many_are_as_one_by_one(numbers: list[PhoneNumber]) -> None:
    many = NUMBERS.pseudonym_many(numbers)
    assert many == [NUMBERS.pseudonym(number) for number in numbers]
    assert NUMBERS.reveal_many(NEW.id, many) == numbers
    assert NUMBERS.encrypt(b"".join(map(padded, numbers))) == b"".join(many)
    assert NUMBERS.pseudonym_many(numbers, key_id=OLD.id) == Pseudonymizer(OLD).pseudonym_many(numbers)


def test_threads_do_not_disturb_each_other() -> None:
    numbers = [PhoneNumber(f"+86138{n:08}") for n in range(2000)]
    expected = NUMBERS.pseudonym_many(numbers)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(NUMBERS.pseudonym, numbers)) == expected


def test_keys_are_checked_and_never_printed() -> None:
    assert "secret" not in repr(OLD)
    with pytest.raises(ValueError, match="32 bytes"):
        NumberKey(3, b"short")
    with pytest.raises(ValueError, match="same id"):
        Pseudonymizer(NEW, [NumberKey(NEW.id, OLD.secret)])
