"""Stamped logs are read on from a cursor: nothing twice, nothing left out, whatever their pieces are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from container_manager.exceptions import ExecutorError
from container_manager.executors.kubernetes.logs import Cursor, Entry, LogReader, OutOfPlaceError, entries_of


def line(second: int, text: bytes, nanoseconds: int = 5) -> bytes:
    return b"2026-01-01T00:00:%02d.%09dZ " % (second, nanoseconds) + text


def data(log: bytes, piece: int = 1 << 16) -> list[bytes]:
    return [entry.data for entry in entries_of(log[at : at + piece] for at in range(0, len(log), piece))]


def read_all(log: bytes, limit: int) -> tuple[bytes, int]:
    """All output, read with a new reader each time; and in how many batches."""
    output, cursor, batches = b"", Cursor(), 0
    while True:
        batch = LogReader(entries_of([log]), cursor).read(limit)
        output += b"".join(entry.data for entry in batch.entries)
        cursor, batches = Cursor.parse(batch.cursor), batches + 1
        if not batch.has_more:
            return output, batches


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_lines_come_out_whatever_the_pieces_are_that_they_come_in(piece: int) -> None:
    log = line(1, b"one\n") + line(1, b"\n") + line(2, "grüße 🚀\n".encode()) + line(3, b"no end")
    assert data(log, piece) == [b"one\n", b"\n", "grüße 🚀\n".encode(), b"no end"]


@pytest.mark.parametrize("piece", [100, 1 << 16])
def test_a_long_line_is_cut_with_or_without_a_stamp_before_each_part(piece: int) -> None:
    part = b"x" * (1 << 14)
    assert data(line(1, part) + line(1, part) + line(2, b"end\n"), piece) == [part, part, b"end\n"]
    assert data(line(1, part + part + b"end\n"), piece) == [part, part, b"end\n"]


def test_the_other_streams_entry_behind_a_last_line_without_an_end_is_an_entry() -> None:
    assert data(line(1, b"to out") + line(1, b"to err", 9)) == [b"to out", b"to err"]


def test_a_stamp_that_the_program_wrote_is_output() -> None:
    text = b"2026-01-01T00:00:00.000000001Z started, 2025-12-31T23:59:59.123456789Z queued\n"
    assert data(line(1, text)) == [text]


@pytest.mark.parametrize("limit", [1, 100, 1 << 20])
def test_reading_in_parts_gives_all_of_it_once(limit: int) -> None:
    log = b"".join(line(second, b"line %d of %d\n" % (number, second)) for second in range(6) for number in range(5))
    output, batches = read_all(log, limit)
    assert output == b"".join(b"line %d of %d\n" % (number, second) for second in range(6) for number in range(5))
    assert batches == {1: 30, 100: 15, 1 << 20: 1}[limit]


def test_entries_that_are_out_of_order_by_a_little_are_neither_lost_nor_repeated() -> None:
    log = line(1, b"a\n", 900) + line(1, b"b\n", 100) + line(2, b"c\n", 1) + line(1, b"d\n", 950) + line(2, b"e\n", 0)
    assert read_all(log, 1) == (b"a\nb\nc\nd\ne\n", 5)


def test_an_unfinished_line_that_grows_goes_on_where_it_was_left() -> None:
    first = LogReader(entries_of([line(1, b"half")]), Cursor()).read(1 << 20)
    second = LogReader(entries_of([line(1, b"half and half\n")]), Cursor.parse(first.cursor)).read(1 << 20)
    assert [entry.data for entry in second.entries] == [b" and half\n"]


def test_a_reader_that_is_kept_goes_on_itself() -> None:
    reader = LogReader(entries_of([line(1, b"a\n") + line(2, b"b\n")]), Cursor())
    batches = [reader.read(1), reader.read(1)]
    assert [entry.data for batch in batches for entry in batch.entries] == [b"a\n", b"b\n"]
    assert [batch.has_more for batch in batches] == [True, False]


def test_a_log_whose_beginning_was_thrown_away_goes_on_by_its_stamps() -> None:
    log = [line(1, b"a\n"), line(1, b"b\n", 6), line(2, b"c\n"), line(2, b"d\n", 7)]
    cursor = Cursor.parse(LogReader(entries_of(log[:3]), Cursor()).read(1 << 20).cursor)
    rotated = log[1:]
    with pytest.raises(OutOfPlaceError):
        LogReader(entries_of(rotated), cursor).read(1 << 20)
    batch = LogReader(entries_of(rotated), cursor, by_stamp=True).read(1 << 20)
    assert [entry.data for entry in batch.entries] == [b"d\n"]


def test_nothing_new_leaves_the_cursor_where_it_is() -> None:
    first = LogReader(entries_of([line(1, b"a\n")]), Cursor()).read(1 << 20)
    again = LogReader(entries_of([line(1, b"a\n")]), Cursor.parse(first.cursor)).read(1 << 20)
    assert (again.entries, again.cursor, again.has_more) == ((), first.cursor, False)


def test_a_log_that_is_none_and_a_cursor_that_is_none_are_errors() -> None:
    with pytest.raises(ValueError, match="unable to retrieve container logs"):
        data(b"unable to retrieve container logs for docker://1234")
    with pytest.raises(ExecutorError, match="no cursor"):
        Cursor.parse("yesterday")


def test_closing_a_reader_closes_its_source() -> None:
    closed: list[bool] = []

    def entries() -> Iterator[Entry]:
        try:
            yield from entries_of([line(1, b"a\n") + line(2, b"b\n")])
        finally:
            closed.append(True)

    reader = LogReader(entries(), Cursor())
    assert reader.read(1).has_more
    assert closed == []
    reader.close()
    assert closed == [True]
