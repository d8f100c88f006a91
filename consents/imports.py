"""Takes another register's export in: a file of numbers, however long, each registered for all marketing.

A chunk of lines is one transaction: what is registered, its events, and how far the import has come. So a run cut off
anywhere goes on where it was, and a run repeated adds nothing. It only adds (consents/bulk.py).
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext_lazy as _

from consents import bulk
from consents.models import RegistrationImport
from consents.numberfile import Cell, NumberFile
from consents.terms import HoldingSource
from dncregistry.errors import Refused
from record import stored_numbers
from record.ledger import Actor
from record.masking import mask_numbers
from record.numbers import REFUSALS, NumberRefused, PhoneNumber

if TYPE_CHECKING:
    from dncregistry.errors import Text

CHUNK = 2_000  # lines, committed at once
# Seconds between two chunks. On SQLite a check waits while a chunk is written; after waiting for up to 0.1 s it looks
# every 0.025 s whether it is its turn, and between two chunks it must find it once.
PAUSES = {"sqlite": 0.03}
TRIES = 5

REASONS: Final[dict[str, Text]] = {
    **REFUSALS,
    "line_too_long": _("The line is longer than 64 KB, and was not read."),
    "left_the_registry": _("The holder of this number took it off the list. An import does not put it back."),
}


@dataclass
class Chunk:
    """Some lines of the file: the numbers, and the reasons of those refused, by line."""

    last: int = 0
    numbers: dict[int, PhoneNumber] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)

    def add(self, cell: Cell) -> None:
        self.last, text = cell
        if text is None:
            self.refused[self.last] = "line_too_long"
            return
        try:
            self.numbers[self.last] = PhoneNumber.parse(text)
        except NumberRefused as refused:
            self.refused[self.last] = refused.code

    def __len__(self) -> int:
        return len(self.numbers) + len(self.refused)


def run(
    path: Path,
    *,
    column: str | None,
    report: Path,
    by: Actor,
    now: Callable[[], datetime],
    advance: Callable[[int, int], None],
    chunk_lines: int = CHUNK,
) -> RegistrationImport:
    """Imports the file, or what is left of it to import. `report` gets the refused lines, `advance` the bytes read and
    their total.

    Raises `Refused`: what `NumberFile` raises, `import_running`, `report_unwritable`.
    """
    with NumberFile(path) as file:
        progress = _progress(file.sha256(), column or "", now)
        if progress.ended_at is not None:
            return progress
        with Report(report, beside=file) as refusals:
            if refusals.size < progress.report_bytes:
                # The report of what was refused so far is not there. Reading all again makes it anew, and adds nothing.
                _move_on(progress, lines=0, added=0, already=0, refused={}, report_bytes=0)
                progress.refresh_from_db()
            pause_until = 0.0
            for chunk in _chunks(file.cells(column), progress.lines, chunk_lines):
                time.sleep(max(0.0, pause_until - time.monotonic()))
                _commit(progress, chunk, refusals, by=by, now=now)
                pause_until = time.monotonic() + PAUSES.get(connection.vendor, 0.0)
                advance(file.position, file.size)
        file.demand_unchanged()
    _move_on(progress, ended_at=now())
    progress.refresh_from_db()
    return progress


def _progress(sha256: bytes, column: str, now: Callable[[], datetime]) -> RegistrationImport:
    """The earlier import of this file, under whichever live key it was noted, or a new one."""
    pseudonymizer = stored_numbers.pseudonymizer()
    digests = [pseudonymizer.encrypt(sha256, key_id=key) for key in pseudonymizer.key_ids]
    column = mask_numbers(column)[:100]
    earlier = RegistrationImport.objects.filter(digest__in=digests, column=column).first()
    if earlier is not None:
        return earlier
    begun, _new = RegistrationImport.objects.get_or_create(
        digest=digests[0],
        column=column,
        defaults={"number_key": pseudonymizer.current.id, "started_at": now()},
    )
    return begun


def _chunks(cells: Iterable[Cell], after: int, lines: int) -> Iterator[Chunk]:
    """What stands after that line, in chunks of so many lines."""
    chunk = Chunk()
    for cell in cells:
        if cell[0] <= after:
            continue
        chunk.add(cell)
        if len(chunk) == lines:
            yield chunk
            chunk = Chunk()
    if chunk:
        yield chunk


def _commit(
    progress: RegistrationImport, chunk: Chunk, report: Report, *, by: Actor, now: Callable[[], datetime]
) -> None:
    """Registers the chunk's numbers, and notes in the same transaction that it is done."""
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                _move_on(progress, **_register(progress, chunk, report, by=by, at=now()))
        except IntegrityError:
            # Somebody spoke about one of these numbers in this very moment; the next try sees what was said.
            if not tries_left:
                raise
        else:
            break
    progress.refresh_from_db()


def _register(
    progress: RegistrationImport, chunk: Chunk, report: Report, *, by: Actor, at: datetime
) -> dict[str, object]:
    """How far the import has come when the chunk's numbers are registered."""
    outcome = bulk.register_all(chunk.numbers.values(), source=HoldingSource.IMPORT, by=by, at=at)
    left = {line: "left_the_registry" for line, number in chunk.numbers.items() if number in outcome.left}
    refused = chunk.refused | left
    return {
        "lines": chunk.last,
        "added": progress.added + outcome.added,
        "already": progress.already + len(chunk) - len(refused) - outcome.added,
        "refused": dict(Counter(progress.refused) + Counter(refused.values())),
        # What a run that was cut off wrote beyond its last commit is written over.
        "report_bytes": report.write_at(progress.report_bytes, refused),
    }


def _move_on(progress: RegistrationImport, **state: object) -> None:
    """Raises `Refused` (`import_running`) if the import is not where we left it: another run moves it on."""
    where_we_left_it = RegistrationImport.objects.filter(pk=progress.pk, lines=progress.lines, ended_at=None)
    if not where_we_left_it.update(**state):
        raise _running()


def _running() -> Refused:
    return Refused("import_running", _("Another run is importing this file. Wait for its end."))


class Report:
    """The refused lines, as CSV: which and why, never what they say (law 8). One run at a time writes it."""

    def __init__(self, path: Path, *, beside: NumberFile) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(path, error.strerror) from error
        try:
            if beside.is_at(self._fd):
                raise _unwritable(path, _("it is the file to import"))
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(self._fd, 0o600)
        except BlockingIOError as error:
            os.close(self._fd)
            raise _running() from error
        except (OSError, Refused):
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        """A report of nothing is not left lying about."""
        if not self.size:
            self.path.unlink(missing_ok=True)
        os.close(self._fd)

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def write_at(self, end: int, refused: dict[int, str]) -> int:
        """Makes `refused` the last lines, after the first `end` bytes, and safe on disk. Returns the new end."""
        os.ftruncate(self._fd, end)
        if not refused:
            return end
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        if not end:
            rows.writerow(("line", "code", "reason"))
        rows.writerows((line, refused[line], REASONS[refused[line]]) for line in sorted(refused))
        written = text.getvalue().encode()
        while written:
            done = os.pwrite(self._fd, written, end)
            end, written = end + done, written[done:]
        os.fsync(self._fd)
        return end


def _unwritable(path: Path, why: object) -> Refused:
    return Refused(
        "report_unwritable",
        _("The report {path} cannot be written: {why}.").format(path=path, why=why),
        field="report",
    )
