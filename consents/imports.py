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
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import dropwhile, islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from django.db import IntegrityError, connection, connections, transaction
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

TRIES = 5


class Pace(NamedTuple):
    """How much is written at once."""

    chunk: int  # lines, committed at once
    pause: float = 0.0  # seconds between two chunks
    ahead: bool = False  # whether a chunk is begun before the one before it is committed


PACES = {
    # A check waits while a chunk is written; after waiting for up to 0.1 s it looks every 0.025 s whether it is its
    # turn, and between two chunks it must find it once.
    "sqlite": Pace(2_000, pause=0.03),
    # Else the server would be idle while the next chunk is prepared, and this process while the server writes.
    "postgresql": Pace(5_000, ahead=True),
}

REASONS: Final[dict[str, Text]] = {
    **REFUSALS,
    "line_too_long": _("The line is longer than 64 KB, and was not read."),
    "left_the_registry": _("The holder of this number took it off the list. An import does not put it back."),
}


@dataclass(frozen=True)
class Chunk:
    """Some lines of the file: the numbers, and the reasons of those refused, by line."""

    last: int
    numbers: dict[int, PhoneNumber]
    refused: dict[int, str]
    # Numbers of the chunk before. It may be under way still, and this one must not wait for it with some locked that
    # it wants itself.
    taken: frozenset[PhoneNumber]

    @classmethod
    def read(cls, cells: Sequence[Cell], taken: frozenset[PhoneNumber]) -> Self:
        numbers: dict[int, PhoneNumber] = {}
        refused: dict[int, str] = {}
        for line, text in cells:
            if text is None:
                refused[line] = "line_too_long"
                continue
            try:
                numbers[line] = PhoneNumber.parse(text)
            except NumberRefused as why:
                refused[line] = why.code
        return cls(cells[-1][0], numbers, refused, taken)

    def __len__(self) -> int:
        return len(self.numbers) + len(self.refused)


class Reached(NamedTuple):
    """How far the import had come when a chunk was done."""

    progress: RegistrationImport
    left: set[PhoneNumber]  # numbers of the chunk that were not put back


def run(
    path: Path,
    *,
    column: str | None,
    report: Path,
    by: Actor,
    now: Callable[[], datetime],
    advance: Callable[[int, int], None],
    pace: Pace | None = None,
) -> RegistrationImport:
    """Imports the file, or what is left of it to import. `report` gets the refused lines, `advance` the bytes read and
    their total.

    Raises `Refused`: what `NumberFile` raises, `import_running`, `report_unwritable`.
    """
    pace = pace or PACES[connection.vendor]
    with NumberFile(path) as file:
        progress = _progress(file.sha256(), column or "", now)
        if progress.ended_at is not None:
            return progress
        with Report(report, beside=file) as refusals:
            if refusals.size < progress.report_bytes:
                # The report of what was refused so far is not there. Reading all again makes it anew, and adds nothing.
                _move_on(progress, lines=0, added=0, already=0, refused={}, report_bytes=0)
                progress.refresh_from_db()
            chunks = _chunks(file.cells(column), progress.lines, pace.chunk)
            register = partial(_register, report=refusals, by=by, now=now)
            registered = _two_at_once if pace.ahead else _one_by_one
            for reached in registered(register, chunks, Reached(progress, set()), pace.pause):
                progress = reached.progress
                advance(file.position, file.size)
        file.demand_unchanged()
    _move_on(progress, ended_at=now())
    progress.refresh_from_db()
    return progress


# How far the import is when the chunk before is done; waits for that.
Before = Callable[[], Reached]
Register = Callable[[Chunk, Before], Reached]


def _one_by_one(register: Register, chunks: Iterable[Chunk], reached: Reached, pause: float) -> Iterator[Reached]:
    with _in_bulk() as between_chunks:
        pause_until = 0.0
        for chunk in chunks:
            time.sleep(max(0.0, pause_until - time.monotonic()))
            reached = register(chunk, partial(_same, reached))
            pause_until = time.monotonic() + pause
            between_chunks()
            yield reached


# With the ordinary 2 MB of cache a chunk's pages would be written more than once before its commit. What was committed
# is moved from the log to the file in the pause, which holds no writer up; by itself it would be before the pause.
SQLITE_IN_BULK = {"cache_size": -32_768, "wal_autocheckpoint": 0}


@contextmanager
def _in_bulk() -> Iterator[Callable[[], object]]:
    """Yields what to do in each pause."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield lambda: None
        return
    before = {name: _pragma(name) for name in SQLITE_IN_BULK}
    for name, value in SQLITE_IN_BULK.items():
        _pragma(f"{name} = {value}")
    try:
        yield lambda: _pragma("wal_checkpoint(PASSIVE)")
    finally:
        for name, value in before.items():
            _pragma(f"{name} = {value}")


def _pragma(what: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {what}")
        row = cursor.fetchone()
    return row and row[0]


def _two_at_once(register: Register, chunks: Iterable[Chunk], reached: Reached, _pause: float) -> Iterator[Reached]:
    """Each in a transaction of its own thread; they are committed in the order of the file, or not at all."""

    def registered(chunk: Chunk, before: Before) -> Reached:
        try:
            return register(chunk, before)
        finally:
            connections.close_all()  # this thread's own

    with ThreadPoolExecutor(2) as pool:
        under_way: deque[Future[Reached]] = deque()
        before: Before = partial(_same, reached)
        for chunk in chunks:
            under_way.append(pool.submit(registered, chunk, before))
            before = under_way[-1].result
            if len(under_way) > 2:  # two at work, and one to go on with
                yield under_way.popleft().result()
        for last in under_way:
            yield last.result()


def _same(reached: Reached) -> Reached:
    return reached


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
    remaining = dropwhile(lambda cell: cell[0] <= after, cells)
    taken: frozenset[PhoneNumber] = frozenset()
    while part := list(islice(remaining, lines)):
        chunk = Chunk.read(part, taken)
        yield chunk
        taken = frozenset(chunk.numbers.values())


def _register(chunk: Chunk, before: Before, *, report: Report, by: Actor, now: Callable[[], datetime]) -> Reached:
    """Registers the chunk's numbers, and notes in the same transaction that it is done."""
    tries = 0
    while True:
        tries += 1
        try:
            with transaction.atomic():
                _give_up_in_time()
                new = (number for number in chunk.numbers.values() if number not in chunk.taken)
                outcome = bulk.register_all(new, source=HoldingSource.IMPORT, by=by, at=now())
                return _noted(chunk, outcome, before(), report)
        except IntegrityError:
            # Somebody spoke about one of these numbers in this very moment; the next try sees what was said.
            if tries == TRIES:
                raise


def _give_up_in_time() -> None:
    """PostgreSQL sees who waits for whom, but not that a chunk waits here for the one before."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '10s'")


def _noted(chunk: Chunk, outcome: bulk.Registered, before: Reached, report: Report) -> Reached:
    progress = before.progress
    left = outcome.left | (before.left & chunk.taken)
    refused = chunk.refused
    if left:
        refused = refused | {line: "left_the_registry" for line, number in chunk.numbers.items() if number in left}
    _move_on(
        progress,
        lines=chunk.last,
        added=progress.added + outcome.added,
        already=progress.already + len(chunk) - len(refused) - outcome.added,
        refused=dict(Counter(progress.refused) + Counter(refused.values())),
        # What a run that was cut off wrote beyond its last commit is written over.
        report_bytes=report.write_at(progress.report_bytes, refused),
    )
    return Reached(RegistrationImport.objects.get(pk=progress.pk), left)


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
