"""How are the registry's keys changed while it serves?

Each verb here is one step that leaves everything readable, whenever it is killed: files are written aside and
renamed, rows change a few at a time. Run again, a verb goes on from where things stand. What has to be said to the
operator is the commands' affair (record/management/commands/rotate_*.py).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import connection, transaction
from django.utils.translation import gettext as _

from dncregistry.errors import Refused
from dncregistry.firstrun import ASIDE, replace_secret, sync_folder
from record import keys, stored_numbers
from record.keys import KeyFile
from record.models import KeyInUse, Number
from record.pseudonyms import Pseudonymizer, PseudonymUnreadable

# How long the published keys of receipts may be kept by whoever fetched them.
KEY_SET_MAX_AGE = timedelta(hours=1)

CHUNK = 500
# Between two chunks on SQLite, where there is one writer at a time: others get their turn.
PAUSE = 0.05  # seconds


@contextmanager
def _alone_in(name: str) -> Iterator[None]:
    """One rotation at a time in a folder of keys, on this machine. Clears away what a killed one left unfinished."""
    folder = keys.folder(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for left in folder.glob(f"{ASIDE}*"):
            left.unlink()
        yield
    finally:
        os.close(handle)


# --- the outer key -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rewrapped:
    outer: Path
    number_keys: int
    older: list[Path]  # outer keys that open nothing any more


def rotate_outer_key() -> Rewrapped:
    """Wraps every number key by the newest outer key. Makes a new one first, unless the newest wraps not all yet."""
    with _alone_in("outer"), _alone_in("number"):
        outer, numbers = keys.files("outer"), keys.needed("number")
        if not outer or all(keys.wrapped_by(file.path) == outer[-1].id for file in numbers):
            keys.make_next("outer", outer)
            *older, newest = keys.files("outer")
        else:
            *older, newest = outer
        waiting = [file.path for file in numbers if keys.wrapped_by(file.path) != newest.id]
        for path in waiting:
            keys.rewrap(path)
        return Rewrapped(newest.path, len(waiting), [file.path for file in older])


# --- the number key ----------------------------------------------------------------------------------


def next_number_key() -> tuple[int, Path, bool]:
    """The number key to come into use next: its id and file, and whether it was made just now.

    Raises `Refused` (`rotation_under_way`) while numbers still move to the newest key in use.
    """
    in_use = stored_numbers.keys_in_use()
    if len(in_use) > 1:
        raise Refused(
            "rotation_under_way",
            _("Numbers are still moving to key {key}. Run `rotate_number_key` to the end first.").format(
                key=max(in_use)
            ),
        )
    with _alone_in("number"):
        found = keys.files("number")
        waiting = [file for file in found if file.id > max(in_use)]
        path = waiting[0].path if waiting else keys.make_next("number", found)
        return int(path.stem), path, not waiting


def announce(key_id: int, *, at: datetime) -> None:
    """From the commit of this on, new numbers are written under that key, by every process."""
    proof = keys.reread().proof(key_id)
    with transaction.atomic():
        # On PostgreSQL this waits for whoever is adding numbers (stored_numbers.keys_for_writing), and they for it.
        KeyInUse.objects.get_or_create(pk=key_id, defaults={"starts": at, "proof": proof})


def retiring() -> list[int]:
    """The keys in use that numbers are to be moved away from, oldest first."""
    return sorted(stored_numbers.keys_in_use())[:-1]


def left_under(key_id: int) -> int:
    return Number.objects.filter(key=key_id).count()


def sweep(key_id: int) -> Generator[int, None, None]:
    """Moves the numbers under an old key to the newest in use, a few at a time; yields how many each time.

    When it ends none is left. Safe to be killed, run again, and run by two at once. Raises `Refused`
    (`number_unreadable`) rather than move what the old key does not open.
    """
    while Number.objects.filter(key=key_id).exists():
        pseudonymizer, last = stored_numbers.pseudonymizer_in_use(), 0
        while moved := _move(pseudonymizer, key_id, after=last):
            last = moved[-1]
            yield len(moved)
            if connection.vendor == "sqlite":
                time.sleep(PAUSE)
        time.sleep(PAUSE)  # rows that somebody holds are met on the next round


def _move(pseudonymizer: Pseudonymizer, key_id: int, *, after: int) -> list[int]:
    """Moves the next rows in one transaction; returns their ids.

    Waits for nobody while it holds rows, so that no two can wait for each other: a registration in flight holds its
    number's row and may want another.
    """
    with transaction.atomic():
        rows = list(
            Number.objects.select_for_update(skip_locked=True)
            .filter(key=key_id, pk__gt=after)
            .order_by("pk")
            .values_list("pk", "pseudonym")[:CHUNK]
        )
        ids = [pk for pk, _pseudonym in rows]
        try:
            numbers = pseudonymizer.reveal_many(key_id, [bytes(pseudonym) for _pk, pseudonym in rows])
        except PseudonymUnreadable as error:
            raise Refused(
                "number_unreadable",
                _("Key {key} does not open all numbers from row {first} to {last}. Restore it from its backup.").format(
                    key=key_id, first=ids[0], last=ids[-1]
                ),
            ) from error
        newest = pseudonymizer.current.id
        moved = zip(pseudonymizer.pseudonym_many(numbers), ids, strict=True)
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE record_number SET pseudonym = %s, key = %s WHERE id = %s AND key = %s",
                [(pseudonym, newest, pk, key_id) for pseudonym, pk in moved],
            )
    return ids


def close(key_id: int, *, at: datetime) -> None:
    """Says of an old key that no number stands under it any more. Its last row was moved before this is called."""
    KeyInUse.objects.filter(pk=key_id, ends=None).update(ends=at)


# --- the keys of receipts ----------------------------------------------------------------------------


def next_signing_key(name: str) -> KeyFile | None:
    """The key that is published and signs nothing yet."""
    found = keys.needed(name)
    newest = max(file.id for file in found if file.state == "")
    return next((file for file in found if file.state == "next" and file.id > newest), None)


def publish_next(name: str) -> Path:
    """Makes the next signing key: its public half is published from now on, and it signs nothing yet."""
    with _alone_in(name):
        waiting = next_signing_key(name)
        return waiting.path if waiting else keys.make_next(name, keys.files(name), "next")


def may_sign_from(waiting: KeyFile) -> datetime:
    """When every copy of the key set that was fetched before the key was in it has run out."""
    return datetime.fromtimestamp(waiting.path.stat().st_mtime, UTC) + KEY_SET_MAX_AGE


def sign_with_next(name: str) -> None:
    """Has the next key sign from now on. `retire` is to follow."""
    with _alone_in(name):
        waiting = next_signing_key(name)
        if waiting:
            waiting.path.rename(waiting.path.with_name(waiting.path.name.replace(".next", "")))
            sync_folder(keys.folder(name))


def retire(name: str) -> list[Path]:
    """Removes the private halves of the keys that sign no more; returns their public halves, which stay published."""
    with _alone_in(name):
        *retired, _current = [file for file in keys.files(name) if file.state == ""]
        return [_without_private_half(file.path) for file in retired]


def _without_private_half(path: Path) -> Path:
    public = path.with_suffix(".pub.pem")
    pem = keys.private_key(path).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    replace_secret(public, pem)
    path.unlink()
    sync_folder(path.parent)
    return public
