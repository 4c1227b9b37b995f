"""Progress is read from standard output, wherever its pieces are cut."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_manager.progress import LONGEST_LINE, LONGEST_TEXT, Progress, ProgressReader
from container_manager.specs import LogEntry, Stream
from tests.unit.properties import STEADY

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def out(data: bytes, stream: Stream = Stream.STDOUT) -> LogEntry:
    return LogEntry(stream, data, NOW)


def last_of(*pieces: bytes) -> Progress | None:
    """The last progress of an output that is read in these pieces."""
    reader = ProgressReader()
    last = None
    for piece in pieces:
        last = reader.read([out(piece)]) or last
    return reader.read([], is_end=True) or last


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"::progress 40 Resizing", Progress(40, "Resizing")),
        (b"::progress 0", Progress(0)),
        (b"::progress 100 Done\r", Progress(100, "Done")),
        (b"::progress 33.7% a third", Progress(33, "a third")),
        (b"::progress 7 caf\xc3\xa9 \xff", Progress(7, "café \N{REPLACEMENT CHARACTER}")),
        (b"::progress 7 a\0b", Progress(7, "a\N{REPLACEMENT CHARACTER}b")),
        (b"::progress 1 " + b"x" * 500, Progress(1, "x" * LONGEST_TEXT)),
        (b"::progress 101 more than all", None),
        (b"::progress -1", None),
        (b"::progress many", None),
        (b"::progress", None),
        (b" ::progress 40", None),
        (b"see ::progress 40", None),
    ],
)
def test_a_line_is_progress_or_it_is_not(line: bytes, expected: Progress | None) -> None:
    assert last_of(line + b"\n") == expected
    assert last_of(b"before\n" + line) == expected


def test_the_last_good_line_counts() -> None:
    assert last_of(b"::progress 1\n::progress 2 two\nother\n::progress 999\n") == Progress(2, "two")


def test_standard_error_tells_none() -> None:
    assert ProgressReader().read([out(b"::progress 40\n", Stream.STDERR)]) is None


def test_a_line_that_never_ends_is_not_kept() -> None:
    reader = ProgressReader()
    for _ in range(10):
        reader.read([out(b"::progress 1 " + b"x" * LONGEST_LINE)])
    assert len(reader._rest) <= LONGEST_LINE
    # What follows in the same line is no line of its own.
    assert reader.read([out(b"::progress 40\n")]) is None
    assert reader.read([out(b"::progress 41\n")]) == Progress(41)


LINES = st.sampled_from([
    b"::progress 40 Resizing", b"::progress 41", b"::progress 400", b"::progre", b"x::progress 42", b"", b"other",
])  # fmt: skip


@STEADY
@given(lines=st.lists(LINES, max_size=8), ends_with_newline=st.booleans(), data=st.data())
def test_wherever_it_is_cut_the_same_is_read(lines: list[bytes], ends_with_newline: bool, data: st.DataObject) -> None:
    whole = b"\n".join(lines) + (b"\n" if ends_with_newline else b"")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(edges)]
    assert last_of(*pieces) == last_of(whole)
