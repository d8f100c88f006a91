"""Where keys are found, which one is current, when files are read again, and what is said when one is none.

A service that cannot read its keys must not start, and must say which file it means and what to do.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from timeit import timeit

import pytest
from cryptography.hazmat.primitives.asymmetric import ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from record import checks, keys
from record.numbers import PhoneNumber
from record.pseudonyms import NumberKey

ALICE = PhoneNumber("+8613800138000")
FOLDERS = ("outer", "number", "receipt", "receipt-test", "seal")


@pytest.fixture
def place(settings: Settings, tmp_path: Path) -> Path:
    """An empty folder of keys, as production would read it."""
    settings.KEYS_DIR = tmp_path / "keys"
    settings.OUTER_KEYS_DIR = tmp_path / "keys" / "outer"
    settings.EMBEDDED = False
    return tmp_path / "keys"


@pytest.fixture
def filled(place: Path) -> Path:
    keys.make_missing()
    return place


def pem(
    key: Ed25519PrivateKey | rsa.RSAPrivateKey | ed448.Ed448PrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def wrap(secret: str) -> bytes:
    return keys.wrapped(bytes.fromhex(secret * 32))


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def sentence(read: Callable[[], object], path: Path) -> str:
    """What is said of the path: it, and after it a sentence of what to do."""
    with pytest.raises(ImproperlyConfigured) as error:
        read()
    said = str(error.value)
    assert str(path) in said
    assert re.search(r"\. (Restore|Let|Keys are named|Run)\b.*\.$", said), said
    return said


def number_keys() -> object:
    return keys.pseudonymizer()


def receipt_keys() -> object:
    return keys.signing_keys("receipt")


# --- missing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_without_a_key_is_named(filled: Path, folder: str) -> None:
    for key in (filled / folder).iterdir():
        key.unlink()
    assert "manage.py make_keys" in sentence(keys.require, filled / folder)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_missing_folder_is_named(filled: Path, folder: str) -> None:
    (filled / folder).rename(filled / "elsewhere")
    sentence(keys.require, filled / folder)


def test_production_makes_no_keys_of_its_own(place: Path) -> None:
    sentence(number_keys, place / "number")
    sentence(receipt_keys, place / "receipt")
    assert not place.exists()


def test_with_all_keys_there_nothing_is_said(filled: Path) -> None:
    keys.require()
    assert checks.keys_are_there() == []


def test_the_system_check_says_the_same_as_the_start(place: Path) -> None:
    (error,) = checks.keys_are_there()
    assert error.id == "record.E001"
    assert error.msg == sentence(keys.require, place / "outer")


# --- unreadable --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "read"), [("number/1.key", number_keys), ("receipt/live-1.pem", receipt_keys)])
def test_a_folder_in_a_keys_place_cannot_be_read(filled: Path, name: str, read: Callable[[], object]) -> None:
    (filled / name).unlink()
    (filled / name).mkdir()
    assert "cannot be read" in sentence(read, filled / name)


@pytest.mark.parametrize(("name", "read"), [("number/1.key", number_keys), ("receipt/live-1.pem", receipt_keys)])
def test_a_link_to_nowhere_cannot_be_read(filled: Path, name: str, read: Callable[[], object]) -> None:
    (filled / name).unlink()
    (filled / name).symlink_to(filled / "gone")
    assert "cannot be read" in sentence(read, filled / name)


# --- garbage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"1:" + b"zz" * 40, id="no-hex"),
        pytest.param(b"1:" + b"ab" * 39, id="too-short"),
        pytest.param(b"1:" + b"ab" * 41, id="too-long"),
        pytest.param(b"1:" + b"a" * 79, id="half-a-byte"),
        pytest.param(b"ab" * 40, id="no-outer-key"),
        pytest.param(b"x:" + b"ab" * 40, id="outer-key-without-a-number"),
        pytest.param(bytes(range(128, 160)), id="raw-bytes"),
        pytest.param("键".encode() * 16, id="chinese"),
    ],
)
def test_a_number_key_that_is_none_is_named_and_not_shown(filled: Path, content: bytes) -> None:
    path = put(filled / "number" / "2.key", content)
    said = sentence(number_keys, path)
    assert "no wrapped key" in said
    assert not content or content.decode("latin-1") not in said


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"ab" * 31, b"a" * 63, bytes(range(128, 160))])
def test_an_outer_key_that_is_none_is_named_and_not_shown(filled: Path, content: bytes) -> None:
    path = put(filled / "outer" / "1.key", content)
    said = sentence(keys.require, path)
    assert "32 bytes in hex" in said
    assert not content or content.decode("latin-1") not in said


def test_a_number_key_that_is_not_wrapped_is_refused_in_production(filled: Path) -> None:
    path = put(filled / "number" / "1.key", b"ab" * 32)
    assert "manage.py rotate_outer_key" in sentence(number_keys, path)


def test_a_number_key_of_another_outer_key_is_named(filled: Path) -> None:
    put(filled / "outer" / "1.key", b"ab" * 32)
    assert "does not open" in sentence(number_keys, filled / "number" / "1.key")


def test_a_number_key_of_an_outer_key_that_is_gone_is_named(filled: Path) -> None:
    (filled / "outer" / "1.key").rename(filled / "outer" / "2.key")
    assert "outer key 1" in sentence(number_keys, filled / "number" / "1.key")


def test_a_wrapped_key_does_not_show_the_key(filled: Path) -> None:
    assert b"ab" * 8 not in wrap("ab")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", id="nothing-in-it"),
        pytest.param(b"ab" * 32, id="a-number-key"),
        pytest.param(b"\x00\xff" * 50, id="bytes"),
        pytest.param(pem(Ed25519PrivateKey.generate())[:60], id="cut-off"),
        pytest.param(
            Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            id="public-half",
        ),
        pytest.param(pem(rsa.generate_private_key(65537, 2048)), id="rsa"),
        pytest.param(pem(ed448.Ed448PrivateKey.generate()), id="ed448"),
        pytest.param(pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"secret")), id="with-a-password"),
    ],
)
@pytest.mark.parametrize(("folder", "name"), [("receipt", "live-2.pem"), ("receipt-test", "test-2.pem")])
def test_a_signing_key_that_is_none_is_named(filled: Path, folder: str, name: str, content: bytes) -> None:
    path = put(filled / folder / name, content)
    sentence(lambda: keys.signing_keys(folder), path)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        pytest.param("number/old.key", number_keys, id="number-key"),
        pytest.param("receipt/live.pem", receipt_keys, id="receipt-key"),
        pytest.param("receipt/live-.pem", receipt_keys, id="no-number"),
    ],
)
def test_a_key_without_a_number_in_its_name_is_named(filled: Path, name: str, read: Callable[[], object]) -> None:
    sentence(read, put(filled / name, b""))


def test_two_number_keys_of_one_number_are_named(filled: Path) -> None:
    """Each pseudonym says by its number which key made it; with two of that number nobody knows which."""
    sentence(number_keys, put(filled / "number" / "01.key", wrap("ab")))


def test_a_live_key_is_not_named_like_a_test_key(filled: Path) -> None:
    """A receipt's key id is the file's name: one that begins with test- would be taken for a test receipt's."""
    sentence(receipt_keys, put(filled / "receipt" / "test-2.pem", pem(Ed25519PrivateKey.generate())))


# --- which one is current ------------------------------------------------------------------------------


def test_number_keys_are_ordered_by_number(filled: Path) -> None:
    put(filled / "number" / "2.key", wrap("ab"))
    put(filled / "number" / "10.key", wrap("cd") + b"\n")
    assert keys.pseudonymizer().current.id == 10
    assert [key for key, _pseudonym in keys.pseudonymizer().pseudonyms(ALICE)] == [10, 1, 2]


def test_what_an_older_number_key_made_is_still_read(filled: Path) -> None:
    before = keys.pseudonymizer().pseudonym(ALICE)
    put(filled / "number" / "2.key", wrap("ab"))
    assert keys.pseudonymizer().reveal(1, before) == ALICE
    assert keys.pseudonymizer().pseudonym(ALICE) != before


def test_sealing_keys_come_oldest_first(filled: Path) -> None:
    put(filled / "seal" / "10.key", b"ab" * 32)
    put(filled / "seal" / "2.key", b"cd" * 32 + b"\n")
    assert list(keys.sealing_keys()) == [1, 2, 10]
    assert keys.sealing_keys()[2] == b"\xcd" * 32


@pytest.mark.parametrize(
    ("name", "content"), [("1.key", b""), ("1.key", b"xy" * 32), ("1.key", b"ab" * 31), ("256.key", b"ab" * 32)]
)
def test_a_sealing_key_that_is_none_is_named(filled: Path, name: str, content: bytes) -> None:
    """A seal has one byte for the number of its key."""
    assert "abab" not in sentence(keys.sealing_keys, put(filled / "seal" / name, content))


def test_the_highest_signing_key_signs_and_all_are_published_oldest_first(filled: Path) -> None:
    for number in (10, 2):
        put(filled / "receipt" / f"live-{number}.pem", pem(Ed25519PrivateKey.generate()))
    signing = keys.signing_keys("receipt")
    assert list(signing.published) == ["live-1", "live-2", "live-10"]
    assert signing.current == "live-10"
    assert signing.key.public_key() == signing.published["live-10"]


def test_the_next_key_is_published_and_signs_nothing(filled: Path) -> None:
    put(filled / "receipt" / "live-2.next.pem", pem(Ed25519PrivateKey.generate()))
    signing = keys.signing_keys("receipt")
    assert (signing.current, list(signing.published)) == ("live-1", ["live-1", "live-2"])


def test_a_retired_key_is_published_from_its_public_half_alone(filled: Path) -> None:
    retired = Ed25519PrivateKey.generate().public_key()
    put(filled / "receipt" / "live-2.pem", (filled / "receipt" / "live-1.pem").read_bytes())
    (filled / "receipt" / "live-1.pem").unlink()
    put(filled / "receipt" / "live-1.pub.pem", retired.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    signing = keys.signing_keys("receipt")
    assert (signing.current, list(signing.published)) == ("live-2", ["live-1", "live-2"])
    assert signing.published["live-1"] == retired


def test_retired_keys_alone_cannot_sign(filled: Path) -> None:
    (filled / "receipt" / "live-1.pem").rename(filled / "receipt" / "live-1.pub.pem")
    sentence(receipt_keys, filled / "receipt")


@pytest.mark.parametrize("content", [b"", pem(Ed25519PrivateKey.generate())], ids=["empty", "private-half"])
def test_a_retired_key_that_is_none_is_named(filled: Path, content: bytes) -> None:
    sentence(receipt_keys, put(filled / "receipt" / "live-2.pub.pem", content))


def test_live_and_test_receipts_have_different_keys(filled: Path) -> None:
    live, test = (keys.signing_keys(folder).published for folder in ("receipt", "receipt-test"))
    assert not set(live) & set(test)


# --- files that come and go under a process at work --------------------------------------------------------


def test_a_key_that_has_come_is_noticed(filled: Path) -> None:
    keys.pseudonymizer(), keys.signing_keys("receipt")
    put(filled / "number" / "2.key", wrap("ab"))
    put(filled / "receipt" / "live-2.pem", pem(Ed25519PrivateKey.generate()))
    assert keys.pseudonymizer().key_ids == [2, 1]
    assert keys.signing_keys("receipt").current == "live-2"


def test_what_has_not_changed_is_not_read_again(filled: Path) -> None:
    assert keys.pseudonymizer() is keys.pseudonymizer()
    assert keys.signing_keys("receipt") is keys.signing_keys("receipt")
    assert keys.signing_keys("receipt") is not keys.signing_keys("receipt-test")


def test_a_key_that_has_gone_signs_no_more(filled: Path) -> None:
    put(filled / "receipt" / "live-2.pem", pem(Ed25519PrivateKey.generate()))
    assert keys.signing_keys("receipt").current == "live-2"
    (filled / "receipt" / "live-2.pem").unlink()
    assert keys.signing_keys("receipt").current == "live-1"
    (filled / "receipt" / "live-1.pem").unlink()
    sentence(receipt_keys, filled / "receipt")


def test_a_key_that_has_come_damaged_stops_nobody_at_work_and_is_spoken_of(filled: Path) -> None:
    known = keys.pseudonymizer(), keys.signing_keys("receipt")
    damaged = [put(filled / "number" / "2.key", b"1:ab"), put(filled / "receipt" / "live-2.pem", b"")]
    assert (keys.pseudonymizer(), keys.signing_keys("receipt")) == known
    sentence(keys.require, damaged[0])
    sentence(keys.reread, damaged[0])


def test_damage_beside_a_key_that_has_gone_is_no_reason_to_use_that_again(filled: Path) -> None:
    receipt_keys()
    (filled / "receipt" / "live-1.pem").unlink()
    sentence(receipt_keys, put(filled / "receipt" / "live-2.pem", b""))


def test_what_is_not_whole_yet_is_not_read(filled: Path) -> None:
    put(filled / "receipt" / ".aside-x1y2", b"half a k")
    keys.require()


def test_threads_find_the_same_keys_while_files_come(filled: Path) -> None:
    for number in range(2, 30):
        put(filled / "number" / "aside", wrap(f"{number:02}")).rename(filled / "number" / f"{number}.key")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _turn: keys.pseudonymizer().current.id, range(40)))
        assert set(found) == {number}


def test_looking_for_changes_costs_microseconds(filled: Path) -> None:
    keys.pseudonymizer()
    took = timeit(keys.pseudonymizer, number=2_000) / 2_000
    print(f"\nkeys found unchanged in {took * 1e6:.0f} µs")
    assert took < 0.001


# --- the embedded profile makes its own ------------------------------------------------------------------


def test_the_embedded_profile_makes_what_is_missing_for_its_owner_alone(place: Path, settings: Settings) -> None:
    settings.EMBEDDED = True
    keys.require()
    made = sorted(path for path in place.rglob("*") if path.is_file())
    assert [str(path.relative_to(place)) for path in made] == [
        "number/1.key",
        "outer/1.key",
        "receipt/live-1.pem",
        "receipt-test/test-1.pem",
        "seal/1.key",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


def test_what_was_made_is_read_again(place: Path, settings: Settings) -> None:
    settings.EMBEDDED = True
    before = keys.pseudonymizer().pseudonym(ALICE)
    assert keys.reread().pseudonym(ALICE) == before


def test_the_embedded_profile_wraps_a_number_key_that_is_not(place: Path, settings: Settings) -> None:
    settings.EMBEDDED = True
    path = put(place / "number" / "1.key", b"ab" * 32)
    assert keys.pseudonymizer().current == NumberKey(1, bytes.fromhex("ab" * 32))
    assert re.fullmatch(rb"1:[0-9a-f]{80}", path.read_bytes())
    assert keys.reread().current == NumberKey(1, bytes.fromhex("ab" * 32))


def test_keys_are_made_once(place: Path) -> None:
    assert len(keys.make_missing()) == len(FOLDERS)
    assert keys.make_missing() == []


def test_a_key_is_not_made_beside_another(place: Path) -> None:
    """After `1.key` has been retired a new one of that number would read nothing that the first one made."""
    put(place / "number" / "2.key", b"ab" * 32)
    assert place / "number" / "1.key" not in keys.make_missing()


def test_a_new_key_never_takes_the_number_of_a_retired_one(filled: Path) -> None:
    (filled / "receipt" / "live-1.pem").rename(filled / "receipt" / "live-1.pub.pem")
    assert keys.make_missing() == [filled / "receipt" / "live-2.pem"]


def test_no_two_registries_make_the_same_keys(place: Path) -> None:
    keys.make_missing()
    first = {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for path in first:
        (place / path).unlink()
    keys.make_missing()
    assert all((place / path).read_bytes() != content for path, content in first.items())
