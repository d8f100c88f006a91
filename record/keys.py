"""Where the registry's own keys are, and how they are read.

    KEYS_DIR/number/1.key           32 bytes in hex; the highest id is current, all are live (record/pseudonyms.py)
    KEYS_DIR/receipt/live-1.pem     Ed25519; the highest signs, all are published (consents/receipts.py)
    KEYS_DIR/receipt-test/test-1.pem
    KEYS_DIR/seal/1.key             32 bytes in hex; the highest seals, all are believed (record/seals.py)

The embedded profile makes them on first run; production refuses to start without them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dncregistry.firstrun import secret_file
from record.pseudonyms import NumberKey, Pseudonymizer


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# The folders of KEYS_DIR, the first key in each, and how one is made.
FIRST_KEYS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "number": ("1.key", lambda: secrets.token_hex(32).encode()),
    "receipt": ("live-1.pem", _new_signing_key),
    "receipt-test": ("test-1.pem", _new_signing_key),
    "seal": ("1.key", lambda: secrets.token_hex(32).encode()),
}


@cache
def pseudonymizer() -> Pseudonymizer:
    """Over every live number key; the highest id is the current one."""
    *retiring, current = (_number_key(path) for path in _files("number"))
    return Pseudonymizer(current, retiring)


@cache
def signing_keys(folder: str) -> dict[str, Ed25519PrivateKey]:
    """Key id → key, oldest first; the last one signs. `folder` is "receipt" or "receipt-test"."""
    return {path.stem: _signing_key(path) for path in _files(folder)}


@cache
def sealing_keys() -> dict[int, bytes]:
    """Key id → key, oldest first; the last one seals."""
    return {_order(path): _sealing_key(path) for path in _files("seal")}


def make_missing() -> list[Path]:
    """Makes the first key in each folder that has none; returns the files made."""
    made = []
    for folder, (name, make) in FIRST_KEYS.items():
        if not _present(folder):
            secret_file(settings.KEYS_DIR / folder / name, make)
            made.append(settings.KEYS_DIR / folder / name)
    return made


def require() -> None:
    """Reads every key once. Raises `ImproperlyConfigured` with a sentence on what to do."""
    pseudonymizer()
    signing_keys("receipt")
    signing_keys("receipt-test")
    sealing_keys()


def _files(folder: str) -> list[Path]:
    if settings.EMBEDDED:
        make_missing()
    files = _present(folder)
    if not files:
        raise ImproperlyConfigured(
            f"There is no key in {settings.KEYS_DIR / folder}. Restore the keys from their backup or, for a new "
            "registry, run `manage.py make_keys`; KEYS_DIR names the folder above."
        )
    return files


def _present(folder: str) -> list[Path]:
    suffix = Path(FIRST_KEYS[folder][0]).suffix
    return sorted((settings.KEYS_DIR / folder).glob(f"*{suffix}"), key=_order)


def _order(path: Path) -> int:
    """The number in a key's name, which must look like its folder's first: 1.key, live-1.pem, test-1.pem."""
    first = FIRST_KEYS[path.parent.name][0]
    number = re.fullmatch(re.escape(first).replace("1", "([1-9][0-9]*)"), path.name)
    if number is None:
        raise ImproperlyConfigured(f"{path} is no key's name. Keys are named like {first}.")
    return int(number[1])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The key {path} cannot be read ({error.strerror}). Let the service's user read it."
        ) from error


def _number_key(path: Path) -> NumberKey:
    try:
        return NumberKey(_order(path), bytes.fromhex(_read(path).decode("ascii").strip()))
    except ValueError as error:
        raise ImproperlyConfigured(
            f"The number key {path} is not 32 bytes in hex. Restore it from the backup of the keys."
        ) from error


def _sealing_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(_read(path).decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != 32 or _order(path) > 255:  # a seal names its key in one byte
        raise ImproperlyConfigured(
            f"The sealing key {path} is not 32 bytes in hex, or its number is over 255. "
            "Restore it from the backup of the keys."
        )
    return key


def _signing_key(path: Path) -> Ed25519PrivateKey:
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
