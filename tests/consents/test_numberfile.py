"""What is read of a file, whatever the file is made of; and that it stays small in memory."""

from __future__ import annotations

import gzip
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from consents.numberfile import LONGEST, NumberFile
from dncregistry.errors import Refused


def cells(folder: Path, content: bytes, column: str | None = None) -> list[tuple[int, str | None]]:
    path = folder / "numbers"
    path.write_bytes(content)
    with NumberFile(path) as file:
        return list(file.cells(column))


def refusal(folder: Path, content: bytes, column: str | None = None) -> str:
    with pytest.raises(Refused) as refused:
        cells(folder, content, column)
    return refused.value.code


@pytest.mark.parametrize(
    "content",
    [
        b"1\n2\n",
        b"1\r\n2\r\n",
        b"1\n2",
        b"\xef\xbb\xbf1\r\n2",
        gzip.compress(b"1\n2\n"),
        gzip.compress(b"1\n") + gzip.compress(b"2\n"),
    ],
    ids=["plain", "crlf", "no-end-of-line", "bom", "gz", "gz-of-two-members"],
)
def test_a_line_a_number(tmp_path, content):
    assert cells(tmp_path, content) == [(1, "1"), (2, "2")]


def test_blank_lines_are_none_but_counted(tmp_path):
    assert cells(tmp_path, b"1\n\n  \n\r\n5\n") == [(1, "1"), (5, "5")]


def test_nothing_is_nothing(tmp_path):
    assert cells(tmp_path, b"") == []
    assert cells(tmp_path, gzip.compress(b"")) == []


def test_what_is_no_utf8_is_gb18030(tmp_path):
    assert cells(tmp_path, "１３８\n号码\n".encode("gb18030")) == [(1, "１３８"), (2, "号码")]
    assert cells(tmp_path, "１３８\n号码\n".encode()) == [(1, "１３８"), (2, "号码")]


def test_bytes_of_no_encoding_are_read_all_the_same(tmp_path):
    ((at, text),) = cells(tmp_path, b"\xff\x001\n")
    assert at == 1
    assert text


def test_a_line_of_the_greatest_length_is_read_and_a_longer_one_is_not(tmp_path):
    longest, longer = b"1" * (LONGEST - 1) + b"\n", b"1" * LONGEST + b"2\n"
    assert cells(tmp_path, longest + longer + longer * 3 + b"5\n") == [
        (1, longest.decode().strip()),
        (2, None),
        (3, None),
        (4, None),
        (5, None),
        (6, "5"),
    ]
    assert cells(tmp_path, b"1" * LONGEST) == [(1, "1" * LONGEST)]


def test_blanks_do_not_hide_what_a_long_line_goes_on_with(tmp_path):
    assert cells(tmp_path, b"13800138000" + b" " * LONGEST + b"1\n") == [(1, None)]


# --- CSV ---------------------------------------------------------------------------------------------


def test_a_column_is_found_by_its_name(tmp_path):
    content = "姓名,手机\r\n张三,1\r\n李四,2\r\n\r\n王五\r\n".encode("gb18030")
    assert cells(tmp_path, content, "手机") == [(2, "1"), (3, "2"), (5, "")]
    assert cells(tmp_path, b"\xef\xbb\xbfnumber\n1\n", "number") == [(2, "1")]


def test_quoted_cells_hold_commas_marks_and_ends_of_lines(tmp_path):
    assert cells(tmp_path, b'note,n\n"a, ""b""\n13800138000",1\nx,2\n', "n") == [(3, "1"), (4, "2")]


def test_a_lone_carriage_return_is_no_end_of_a_line(tmp_path):
    assert cells(tmp_path, b"n,m\n1\r2,x\n", "n") == [(2, "1 2")]


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"n,n\n1,2\n"], ids=["empty", "other", "twice"])
def test_a_column_that_is_not_there_once(tmp_path, content):
    assert refusal(tmp_path, content, "n") == "no_such_column"


@pytest.mark.parametrize(
    "content",
    [b'n,m\n1,"x\n2,y\n', b'n,m\n1,"x\n2,y"z\n', b'n,m\n1,"x\n' + b"2,y\n" * LONGEST],
    ids=["open-at-the-end", "goes-on-behind", "open-for-long"],
)
def test_marks_that_do_not_pair_swallow_no_lines_unseen(tmp_path, content):
    assert refusal(tmp_path, content, "n") == "csv_malformed"


def test_a_record_with_too_long_a_line_is_not_read(tmp_path):
    assert cells(tmp_path, b"n\n1\n" + b"1" * LONGEST + b"1,\n3\n", "n") == [(2, "1"), (3, None), (4, "3")]


# --- what cannot be read -----------------------------------------------------------------------------


def test_a_gz_that_is_cut_off_gives_its_whole_lines_and_then_says_so(tmp_path):
    whole = gzip.compress(b"".join(b"%d\n" % number for number in range(100_000)))
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[: len(whole) // 2])
    read = []
    with NumberFile(path) as file, pytest.raises(Refused, match="unreadable"):
        for cell in file.cells(None):
            read.append(cell)
    assert len(read) > 1000
    assert all(text == str(at - 1) for at, text in read)


def test_a_gz_that_is_damaged(tmp_path):
    whole = bytearray(gzip.compress(b"1\n" * 1000))
    whole[len(whole) // 2] ^= 0xFF
    assert refusal(tmp_path, bytes(whole)) == "unreadable"
    assert refusal(tmp_path, gzip.compress(b"1\n") + b"rubbish") == "unreadable"


def test_what_is_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "none", Path("/dev/null")):
        with pytest.raises(Refused, match="unreadable"):
            NumberFile(path)


def test_a_file_written_to_meanwhile_is_noticed(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(b"1\n")
    with NumberFile(path) as file:
        file.demand_unchanged()
        with path.open("ab") as more:
            more.write(b"2\n")
        with pytest.raises(Refused, match="file_changed"):
            file.demand_unchanged()


@pytest.mark.parametrize(
    ("column", "unit"),
    [(None, b"1"), (None, b"\0"), ("n", b"1"), ("n", b"1,"), ("n", b'"",'), ("n", b'"\n",')],
    ids=["digits", "nul", "digits-csv", "cells", "quoted-cells", "quoted-lines"],
)
def test_a_bomb_takes_no_memory(tmp_path, column, unit):
    """10 MB in one line or one record, packed into 10 KB."""
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as bomb:
        bomb.write(b"n\n")
        for _ in range(10):
            bomb.write(unit * (1_000_000 // len(unit)))
    tracemalloc.start()
    try:
        with NumberFile(path) as file, suppress(Refused):
            for _cell in file.cells(column):
                pass
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000
