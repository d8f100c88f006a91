"""What stands for a subscriber's number at rest, and how is it read back?

A pseudonym is the E.164 text, padded to 16 bytes, encrypted as one AES-256 block (design §8): the same number
always has the same pseudonym under a key, so it can be unique and indexed; without the key it says nothing.
It must not know where keys are kept or when they change, and no key may show in a `repr`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from record.numbers import PhoneNumber

BLOCK: Final = 16  # bytes: "+" and at most 15 digits always fit
# Encrypted under a key it proves which key that is; it is no padded number.
NOTHING: Final = bytes(BLOCK)

_PADDED_NUMBER = re.compile(rb"(\+86[1-9][0-9]{6,11})\0*")


class PseudonymUnreadable(Exception):
    """No pseudonym under that key: the bytes were damaged, or the key is another. Nothing is guessed."""


@dataclass(frozen=True, slots=True)
class NumberKey:
    """An AES-256 key for numbers, named by a small number that is stored beside each pseudonym."""

    id: int
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != 32:
            raise ValueError("a number key has 32 bytes")

    @property
    def cipher(self) -> Cipher[modes.ECB]:
        # ECB is wrong for messages, where equal blocks show. Here each message is one block, and that equal
        # numbers are equal is what is wanted: one block of AES is a keyed permutation of the numbers. There
        # is no room for a tag; the padding and shape of a number do its work, and a random block passes for a
        # number once in 2**88.
        return Cipher(algorithms.AES(self.secret), modes.ECB())


class Pseudonymizer:
    """Pseudonyms under the live keys: new ones under `current`, others found under `retiring` too.

    Safe to share between threads: it holds nothing that changes, and each call makes its own AES context.
    """

    def __init__(self, current: NumberKey, retiring: Iterable[NumberKey] = ()) -> None:
        self._keys = (current, *retiring)
        self.current = current
        self._ciphers = {key.id: key.cipher for key in self._keys}
        if len(self._ciphers) != len(self._keys):
            raise ValueError("two number keys have the same id")
        self._proofs = {key.id: self.encrypt(NOTHING, key_id=key.id) for key in self._keys}

    def proof(self, key_id: int) -> bytes:
        """16 bytes that only this key makes, and that say nothing about any number."""
        return self._proofs[key_id]

    def knows(self, in_use: Mapping[int, bytes | None]) -> bool:
        """Whether it has each of these keys: not only one of that id but, where its proof was kept, that very key."""
        return all(key in self._proofs and proof in (None, self._proofs[key]) for key, proof in in_use.items())

    def only(self, key_ids: Collection[int]) -> Pseudonymizer:
        """The same under some of its keys alone; the highest id is current."""
        *retiring, current = sorted((key for key in self._keys if key.id in key_ids), key=lambda key: key.id)
        return Pseudonymizer(current, retiring)

    def writing(self, key_id: int) -> Pseudonymizer:
        """The same keys, of which that one is current."""
        if key_id == self.current.id:
            return self
        (current,) = (key for key in self._keys if key.id == key_id)
        return Pseudonymizer(current, (key for key in self._keys if key.id != key_id))

    @property
    def key_ids(self) -> list[int]:
        """Of every live key, the current one first."""
        return list(self._ciphers)

    def pseudonym(self, number: PhoneNumber) -> bytes:
        """16 bytes under the current key."""
        return self.encrypt(padded(number))

    def pseudonyms(self, number: PhoneNumber) -> list[tuple[int, bytes]]:
        """(key id, 16 bytes) under every live key, the current one first: what to look a number up by."""
        block = padded(number)
        return [(key_id, self.encrypt(block, key_id=key_id)) for key_id in self._ciphers]

    def reveal(self, key_id: int, pseudonym: bytes) -> PhoneNumber:
        """The number again. Raises PseudonymUnreadable for a damaged pseudonym or a key that is not live."""
        return self.reveal_many(key_id, [pseudonym])[0]

    def pseudonym_many(self, numbers: Iterable[PhoneNumber], *, key_id: int | None = None) -> list[bytes]:
        """16 bytes for each number, in order, under the key (the current one by default)."""
        encrypted = self.encrypt(b"".join(map(padded, numbers)), key_id=key_id)
        return [encrypted[at : at + BLOCK] for at in range(0, len(encrypted), BLOCK)]

    def reveal_many(self, key_id: int, pseudonyms: Sequence[bytes]) -> list[PhoneNumber]:
        """The numbers again, in order. One unreadable pseudonym refuses them all."""
        if key_id not in self._ciphers or any(len(pseudonym) != BLOCK for pseudonym in pseudonyms):
            raise PseudonymUnreadable
        blocks = self.decrypt(b"".join(pseudonyms), key_id=key_id)
        return [_unpadded(blocks[at : at + BLOCK]) for at in range(0, len(blocks), BLOCK)]

    def encrypt(self, blocks: bytes, *, key_id: int | None = None) -> bytes:
        """The pseudonyms, end to end, of padded numbers, end to end: an array's bytes, millions at once."""
        encryptor = self._ciphers[self.current.id if key_id is None else key_id].encryptor()
        return encryptor.update(blocks) + encryptor.finalize()

    def decrypt(self, blocks: bytes, *, key_id: int | None = None) -> bytes:
        """What `encrypt` was given."""
        decryptor = self._ciphers[self.current.id if key_id is None else key_id].decryptor()
        return decryptor.update(blocks) + decryptor.finalize()


def padded(number: PhoneNumber) -> bytes:
    """One block: the E.164 text, NUL to its right. No number holds a NUL, so no two numbers share a block."""
    return number.e164.encode("ascii").ljust(BLOCK, b"\0")


def _unpadded(block: bytes) -> PhoneNumber:
    number = _PADDED_NUMBER.fullmatch(block)
    if not number:
        raise PseudonymUnreadable
    return PhoneNumber(number[1].decode("ascii"))
