"""Where keys are found, which one is current, and what is said when one is missing or is none.

A service that cannot read its keys must not start, and must say which file it means and what to do.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

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

ALICE = PhoneNumber("+8613800138000")
FOLDERS = ("number", "receipt", "receipt-test", "seal")


def forget() -> None:
    keys.pseudonymizer.cache_clear()
    keys.signing_keys.cache_clear()
    keys.sealing_keys.cache_clear()


@pytest.fixture
def place(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """An empty folder of keys, as production would read it."""
    settings.KEYS_DIR = tmp_path / "keys"
    settings.EMBEDDED = False
    forget()
    yield tmp_path / "keys"
    forget()


@pytest.fixture
def filled(place: Path) -> Path:
    keys.make_missing()
    return place


def pem(
    key: Ed25519PrivateKey | rsa.RSAPrivateKey | ed448.Ed448PrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


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
    assert re.search(r"\. (Restore|Let|Keys are named|Keep)\b.*\.$", said), said
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
    assert error.msg == sentence(keys.require, place / "number")


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
        pytest.param(b"zz" * 32, id="no-hex"),
        pytest.param(b"ab" * 31, id="too-short"),
        pytest.param(b"ab" * 33, id="too-long"),
        pytest.param(b"a" * 63, id="half-a-byte"),
        pytest.param(bytes(range(128, 160)), id="raw-bytes"),
        pytest.param("键".encode() * 16, id="chinese"),
    ],
)
def test_a_number_key_that_is_none_is_named_and_not_shown(filled: Path, content: bytes) -> None:
    path = put(filled / "number" / "2.key", content)
    said = sentence(number_keys, path)
    assert "32 bytes in hex" in said
    assert not content or content.decode("latin-1") not in said


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
    sentence(number_keys, put(filled / "number" / "01.key", b"ab" * 32))


def test_a_live_key_is_not_named_like_a_test_key(filled: Path) -> None:
    """A receipt's key id is the file's name: one that begins with test- would be taken for a test receipt's."""
    sentence(receipt_keys, put(filled / "receipt" / "test-2.pem", pem(Ed25519PrivateKey.generate())))


# --- which one is current ------------------------------------------------------------------------------


def test_the_number_key_of_the_highest_number_is_current(filled: Path) -> None:
    put(filled / "number" / "2.key", b"ab" * 32)
    put(filled / "number" / "10.key", b"cd" * 32 + b"\n")
    assert keys.pseudonymizer().current.id == 10
    assert [key for key, _pseudonym in keys.pseudonymizer().pseudonyms(ALICE)] == [10, 1, 2]


def test_what_an_older_number_key_made_is_still_read(filled: Path) -> None:
    before = keys.pseudonymizer().pseudonym(ALICE)
    put(filled / "number" / "2.key", b"ab" * 32)
    forget()
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


def test_signing_keys_come_oldest_first(filled: Path) -> None:
    for number in (10, 2):
        put(filled / "receipt" / f"live-{number}.pem", pem(Ed25519PrivateKey.generate()))
    assert list(keys.signing_keys("receipt")) == ["live-1", "live-2", "live-10"]


def test_live_and_test_receipts_have_different_keys(filled: Path) -> None:
    live, test = (keys.signing_keys(folder) for folder in ("receipt", "receipt-test"))
    assert not set(live) & set(test)


# --- the embedded profile makes its own ------------------------------------------------------------------


def test_the_embedded_profile_makes_what_is_missing_for_its_owner_alone(place: Path, settings: Settings) -> None:
    settings.EMBEDDED = True
    keys.require()
    made = sorted(path for path in place.rglob("*") if path.is_file())
    assert [str(path.relative_to(place)) for path in made] == [
        "number/1.key",
        "receipt/live-1.pem",
        "receipt-test/test-1.pem",
        "seal/1.key",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}


def test_what_was_made_is_read_again(place: Path, settings: Settings) -> None:
    settings.EMBEDDED = True
    before = keys.pseudonymizer().pseudonym(ALICE)
    forget()
    assert keys.pseudonymizer().pseudonym(ALICE) == before


def test_keys_are_made_once(place: Path) -> None:
    assert len(keys.make_missing()) == 4
    assert keys.make_missing() == []


def test_a_key_is_not_made_beside_another(place: Path) -> None:
    """After `1.key` has been retired a new one of that number would read nothing that the first one made."""
    put(place / "number" / "2.key", b"ab" * 32)
    assert place / "number" / "1.key" not in keys.make_missing()


def test_no_two_registries_make_the_same_keys(place: Path) -> None:
    keys.make_missing()
    first = {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    for path in first:
        (place / path).unlink()
    keys.make_missing()
    assert all((place / path).read_bytes() != content for path, content in first.items())
