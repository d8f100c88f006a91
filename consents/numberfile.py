"""What stands, line by line, where a file says its numbers are? Plain text or CSV, as it is or compressed (gz).

It streams: whatever the file holds (an endless line, a bomb of a gz), no more than a line is kept in memory. It does
not know what is a number, and nothing of what it reads may be kept or shown.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from django.utils.translation import gettext_lazy as _

from dncregistry.errors import Refused

LONGEST = 65_536  # bytes of a line, and of a CSV record, which may run over several
GZIP = b"\x1f\x8b"

# A cell: the number of the line on which it ends, from 1, and its text; none if the line is too long.
Cell = tuple[int, str | None]


class NumberFile:
    """An open file of numbers. Raises `Refused` (`unreadable`) for what cannot be read to its end."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():  # a pipe could be read only once, and opening it may take for ever
            raise _unreadable(_("there is no such file"))
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise _unreadable(error.strerror) from error
        self._state = self._stat()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._raw.close()

    @property
    def size(self) -> int:
        return self._state[0]

    @property
    def position(self) -> int:
        """Bytes read so far; of a gz, as it lies on disk."""
        return self._raw.tell()

    def sha256(self) -> bytes:
        """Of the file's bytes. Of a file with one number in it this is that number (law 8): not to be kept in clear."""
        self._raw.seek(0)
        return hashlib.file_digest(self._raw, "sha256").digest()

    def is_at(self, descriptor: int) -> bool:
        """Whether the descriptor, of any opening, is of this very file."""
        return os.path.sameopenfile(self._raw.fileno(), descriptor)

    def demand_unchanged(self) -> None:
        """Raises `Refused` (`file_changed`) if the file was written to since it was opened."""
        if self._stat() != self._state:
            raise Refused("file_changed", _("The file was changed while it was read. Import it once more."))

    def cells(self, column: str | None) -> Iterator[Cell]:
        """The cell of each record in that column of a CSV with a header; without a column, each line. No blank lines.

        Raises `Refused`: `no_such_column`, `csv_malformed`, `unreadable`.
        """
        self._raw.seek(0)
        is_gz = self._raw.read(len(GZIP)) == GZIP
        self._raw.seek(0)
        file = io.BufferedReader(gzip.GzipFile(fileobj=self._raw)) if is_gz else self._raw
        try:
            yield from _column(file, column) if column is not None else _lines(file)
        except (EOFError, OSError, zlib.error) as error:
            raise _unreadable(_("it is damaged, or cut off")) from error

    def _stat(self) -> tuple[int, int]:
        state = os.fstat(self._raw.fileno())
        return state.st_size, state.st_mtime_ns


def _unreadable(why: object) -> Refused:
    return Refused("unreadable", _("The file cannot be read to its end: {why}.").format(why=why), field="file")


def _lines(file: io.BufferedIOBase) -> Iterator[Cell]:
    at = 0
    while line := file.readline(LONGEST):
        at += 1
        if _is_cut(line) and _skip_to_its_end(file):
            yield at, None
        elif text := _decoded(line).strip():
            yield at, text


def _column(file: io.BufferedIOBase, column: str) -> Iterator[Cell]:
    records = _Records(file)
    header = [cell.strip() for cell in next(iter(records), [])]
    if header.count(column) != 1:
        raise Refused(
            "no_such_column",
            _("The first line of the file must name the column {column} once.").format(column=column),
            field="column",
        )
    index = header.index(column)
    for record in records:
        if records.too_long:
            yield records.reader.line_num, None
        elif record:
            yield records.reader.line_num, record[index] if index < len(record) else ""


class _Records:
    """CSV records, each with whether a line of it was too long. A quoted cell may run over several lines."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.file = file
        self.reader = csv.reader(self._feed(), strict=True)
        self.too_long = False
        self._fed = 0

    def __iter__(self) -> Iterator[list[str]]:
        while True:
            self._fed, self.too_long = 0, False
            try:
                record = next(self.reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self._malformed() from error
            yield record

    def _feed(self) -> Iterator[str]:
        while line := self.file.readline(LONGEST):
            if _is_cut(line) and _skip_to_its_end(self.file):
                self.too_long, line = True, b"\n"
            self._fed += len(line)
            if self._fed > LONGEST:
                raise self._malformed()
            # A lone carriage return is no end of a line; the csv module would stumble over it.
            yield _decoded(line).rstrip("\r\n").replace("\r", " ") + "\n"

    def _malformed(self) -> Refused:
        """From a quotation mark that is not closed, or not escaped, on nobody can say where a record begins."""
        return Refused(
            "csv_malformed",
            _("The quotation marks in line {line} or shortly before it do not pair. Mend them.").format(
                line=self.reader.line_num
            ),
            field="file",
        )


def _is_cut(line: bytes) -> bool:
    return len(line) == LONGEST and not line.endswith(b"\n")


def _skip_to_its_end(file: io.BufferedIOBase) -> bool:
    """Whether the line went on at all."""
    went_on = False
    while rest := file.readline(LONGEST):
        went_on = True
        if rest.endswith(b"\n"):
            break
    return went_on


def _decoded(line: bytes) -> str:
    """UTF-8, or else GB18030, whose line ends, commas, quotation marks and digits are the same bytes."""
    try:
        return line.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return line.decode("gb18030", "replace")
