"""Where the registry's own keys are, and how they are read.

    OUTER_KEYS_DIR/1.key               32 bytes in hex; the highest id wraps the number keys (default: KEYS_DIR/outer)
    KEYS_DIR/number/1.key              an AES-256 key wrapped by an outer key (RFC 3394), as `OUTER_ID:hex`;
                                       which are in use the database says (record/stored_numbers.py)
    KEYS_DIR/receipt/live-1.pem        Ed25519; the highest signs (consents/receipts.py)
    KEYS_DIR/receipt/live-2.next.pem   published, signs nothing yet
    KEYS_DIR/receipt/live-1.pub.pem    the public half of a retired key, published still
    KEYS_DIR/receipt-test/test-1.pem   the same for test receipts
    KEYS_DIR/seal/1.key                32 bytes in hex; the highest seals, all are believed (record/seals.py)

The embedded profile makes them on first run; production refuses to start without them. What was read is remembered
until a folder's list of names changes, so that every process notices new and retired keys without a restart.
How keys are changed is in record/rotation.py.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dncregistry.firstrun import replace_secret, secret_file
from record.pseudonyms import NumberKey, Pseudonymizer

Keys = TypeVar("Keys")

PLAIN = re.compile("[0-9a-f]{64}", re.IGNORECASE)
WRAPPED = re.compile("([1-9][0-9]*):[0-9a-f]{80}")

MOST_SEALING_KEYS = 255  # a seal names its key in one byte

RECEIPT_FOLDERS = ("receipt", "receipt-test")


def new_secret() -> bytes:
    return secrets.token_hex(32).encode()


def new_number_key() -> bytes:
    """A key of its own, wrapped by the newest outer key."""
    return wrapped(secrets.token_bytes(32))


def new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# The folders, how the keys in each are named and how one is made. The outer keys first: number keys need them.
KINDS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "outer": ("{}.key", new_secret),
    "number": ("{}.key", new_number_key),
    "receipt": ("live-{}.pem", new_signing_key),
    "receipt-test": ("test-{}.pem", new_signing_key),
    "seal": ("{}.key", new_secret),
}


SUFFIXES = (".key", ".pem")  # other files are none of ours


class KeyFile(NamedTuple):
    """A key's file; `state` is what stands between number and suffix: nothing, "next" or "pub"."""

    id: int
    state: str
    path: Path


@dataclass(frozen=True)
class SigningKeys:
    """The keys of receipts by key id: the one that signs, and every public half that is published, oldest first."""

    current: str
    key: Ed25519PrivateKey
    published: Mapping[str, Ed25519PublicKey]


def pseudonymizer() -> Pseudonymizer:
    """Over every number key that is here, whether in use or not; `current` is the highest id.

    What is looked up in the table of numbers, or written, goes by the keys in use (record/stored_numbers.py).
    """
    return _remembered("number", _number_keys)


def signing_keys(name: str) -> SigningKeys:
    """The keys in the folder "receipt" or "receipt-test"."""
    return _remembered(name, _signing_keys)


def sealing_keys() -> dict[int, bytes]:
    """Key id → key, oldest first; the last one seals."""
    return _remembered("seal", _sealing_keys)


def make_missing() -> list[Path]:
    """Makes the first key in each folder that has none; returns the files made."""
    present = {name: files(name) for name in KINDS}
    return [make_next(name, found) for name, found in present.items() if not _usable(found)]


def make_next(name: str, found: list[KeyFile], state: str = "") -> Path:
    """Makes the key after those `found`. Of two who found the same one makes it, and both have it."""
    pattern, make = KINDS[name]
    number = max((file.id for file in found), default=0) + 1
    path = folder(name) / pattern.format(f"{number}.{state}" if state else number)
    secret_file(path, make)
    return path


def require() -> None:
    """Reads every key anew. Raises `ImproperlyConfigured` with a sentence on what to do."""
    outer_keys()
    _number_keys(needed("number"))
    for name in RECEIPT_FOLDERS:
        _signing_keys(needed(name))
    _sealing_keys(needed("seal"))


def reread() -> Pseudonymizer:
    """`pseudonymizer`, from the files as they are now: for when the database names a key that is not known."""
    _memory.pop("number", None)
    return pseudonymizer()


def outer_keys() -> dict[int, bytes]:
    """Oldest first; the last one wraps."""
    return {file.id: _secret(file.path) for file in needed("outer")}


def wrapped(secret: bytes) -> bytes:
    """A number key as its file holds it."""
    newest, outer = list(outer_keys().items())[-1]
    return f"{newest}:{aes_key_wrap(outer, secret).hex()}".encode()


# --- files -------------------------------------------------------------------------------------------


def folder(name: str) -> Path:
    place: Path = settings.OUTER_KEYS_DIR if name == "outer" else settings.KEYS_DIR / name
    return place


def files(name: str) -> list[KeyFile]:
    """Every key in the folder by its number: a retired one before one in use, that before the next."""
    place = folder(name)
    return sorted(
        (_file(name, place / each) for each in _names(place)), key=lambda file: (file.id, file.state != "pub")
    )


def _names(place: Path) -> tuple[str, ...]:
    """Of the keys in a folder. A system call or two, so that it can be asked at every check."""
    try:
        listed = os.listdir(place)  # noqa: PTH208  (iterdir makes a Path of each)
    except OSError:  # no folder is a folder without keys, and so is what cannot be listed
        return ()
    return tuple(sorted(each for each in listed if each.endswith(SUFFIXES)))


def _file(name: str, path: Path) -> KeyFile:
    pattern = KINDS[name][0]
    states = r"(?:\.(next|pub))?" if name in RECEIPT_FOLDERS else "()"
    found = re.fullmatch(re.escape(pattern).replace(r"\{\}", rf"([1-9][0-9]*){states}"), path.name)
    if found is None:
        raise ImproperlyConfigured(f"{path} is no key's name. Keys are named like {pattern.format(1)}.")
    return KeyFile(int(found[1]), found[2] or "", path)


def _usable(found: list[KeyFile]) -> bool:
    """Whether there is a key to work with, not only what is left of retired ones."""
    return any(file.state == "" for file in found)


def needed(name: str) -> list[KeyFile]:
    """`files`, among them a key to work with. Raises `ImproperlyConfigured` where there is none."""
    found = files(name)
    if settings.EMBEDDED and not _usable(found):
        make_next(name, found)
        found = files(name)
    if not _usable(found):
        raise ImproperlyConfigured(
            f"There is no key in {folder(name)}. Restore the keys from their backup or, for a new "
            "registry, run `manage.py make_keys`; KEYS_DIR and OUTER_KEYS_DIR say where keys are."
        )
    return found


# --- what is remembered ------------------------------------------------------------------------------


class _Read(NamedTuple):
    place: Path
    names: tuple[str, ...]
    keys: Any


# One entry a folder, replaced as a whole: threads may read it while another writes.
_memory: dict[str, _Read] = {}


def _remembered(name: str, read: Callable[[list[KeyFile]], Keys]) -> Keys:
    """What `read` made of the folder's files, as long as their names stay the same.

    Nothing that was retired is used once its file is gone. What was added and cannot be read changes nothing for
    a process at work: `require`, and so `/readyz`, speaks of it.
    """
    place, known = folder(name), _memory.get(name)
    names = _names(place)
    if known and known.place != place:
        known = None
    if known and known.names == names:
        return cast(Keys, known.keys)
    try:
        keys = read(needed(name))
    except ImproperlyConfigured:
        if names != _names(place):  # a file was renamed while we read
            return _remembered(name, read)
        if known is None or not set(known.names) <= set(names):
            raise
        return cast(Keys, known.keys)
    # Filed under the names from before: if they changed while we read, the next call reads again.
    _memory[name] = _Read(place, names, keys)
    return keys


# --- reading -----------------------------------------------------------------------------------------


def _number_keys(found: list[KeyFile]) -> Pseudonymizer:
    *others, current = [_number_key(file) for file in found]
    return Pseudonymizer(current, others)


def _number_key(file: KeyFile) -> NumberKey:
    if wrapped_by(file.path) is None:
        if not settings.EMBEDDED:
            raise ImproperlyConfigured(
                f"The number key {file.path} is not wrapped. Run `manage.py rotate_outer_key`: it wraps it."
            )
        rewrap(file.path)
    return NumberKey(file.id, _unwrapped(file.path))


def wrapped_by(path: Path) -> int | None:
    """The id of the outer key that wraps a number key; None for a plain one, as they were before."""
    text = _text(path)
    if PLAIN.fullmatch(text):
        return None
    found = WRAPPED.fullmatch(text)
    if found is None:
        raise ImproperlyConfigured(
            f"The number key {path} is no wrapped key (`1:` and 40 bytes in hex). "
            "Restore it from the backup of the keys."
        )
    return int(found[1])


def rewrap(path: Path) -> None:
    """Has the newest outer key wrap a number key, whatever wrapped it before."""
    replace_secret(path, wrapped(_unwrapped(path)))


def _unwrapped(path: Path) -> bytes:
    by = wrapped_by(path)
    if by is None:
        return _secret(path)
    outer = outer_keys().get(by)
    if outer is None:
        raise ImproperlyConfigured(
            f"The number key {path} is wrapped by outer key {by}, which is not in {folder('outer')}. "
            "Restore that from the backup of the outer keys."
        )
    try:
        return aes_key_unwrap(outer, bytes.fromhex(_text(path).partition(":")[2]))
    except InvalidUnwrap as error:
        raise ImproperlyConfigured(
            f"The number key {path} does not open with outer key {by}. "
            "Restore both from the backups that belong together."
        ) from error


def _signing_keys(found: list[KeyFile]) -> SigningKeys:
    published: dict[str, Ed25519PublicKey] = {}
    current: tuple[str, Ed25519PrivateKey] | None = None
    for file in found:
        key_id = file.path.name.partition(".")[0]
        if file.state == "pub":
            published[key_id] = _public_key(file.path)
            continue
        key = private_key(file.path)
        published[key_id] = key.public_key()
        if file.state == "":
            current = key_id, key
    assert current is not None  # `needed` has seen to it
    return SigningKeys(*current, published)


def _sealing_keys(found: list[KeyFile]) -> dict[int, bytes]:
    for file in found:
        if file.id > MOST_SEALING_KEYS:
            raise ImproperlyConfigured(
                f"The sealing key {file.path} has a number over {MOST_SEALING_KEYS}. "
                "Restore the keys from their backup, and give this one a lower number."
            )
    return {file.id: _secret(file.path) for file in found}


def _secret(path: Path) -> bytes:
    """A symmetric key: 32 bytes in hex."""
    text = _text(path)
    if not PLAIN.fullmatch(text):
        raise ImproperlyConfigured(f"The key {path} is not 32 bytes in hex. Restore it from the backup of the keys.")
    return bytes.fromhex(text)


def private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (TypeError, ValueError) as error:  # TypeError: it wants a passphrase
        raise ImproperlyConfigured(
            f"The signing key {path} is no PEM file of an Ed25519 key without a passphrase. "
            "Restore it from the backup of the keys."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ImproperlyConfigured(
            f"The signing key {path} is not an Ed25519 key. Restore it from the backup of the keys."
        )
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key: object = load_pem_public_key(_read(path))
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ImproperlyConfigured(
            f"The retired key {path} is no PEM file of a public Ed25519 key. Restore it from the backup of the keys."
        )
    return key


def _text(path: Path) -> str:
    return _read(path).decode("ascii", errors="replace").strip()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The key {path} cannot be read ({error.strerror}). Let the service's user read it."
        ) from error
