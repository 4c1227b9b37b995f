"""
The output of a pod, without loss or repetition, from a cursor.

The cluster gives one stream for both of a program's, so everything is told as standard output. It stamps each entry
with nanoseconds, but skips to whole seconds only, and entries may be out of order by a little. So the cursor has a
second, and how many bytes stamped with it or later were taken; the last entry's stamp proves that they are the same.
Where the node has thrown away the beginning of the log, what is later than that stamp follows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Self

from container_manager.exceptions import ExecutorError
from container_manager.specs import LogBatch, LogEntry, Stream

ENTRY_LIMIT: Final = 1 << 14
"""Engines cut lines into entries of this size; older ones stamp each, in the midst of the line."""
STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ")
ENGINES_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})(Z|[+-]\d\d:\d\d) ")
LONGEST_STAMP: Final = 36
ENTRY_BYTES: Final = 64
"""What an entry counts beside its data, so that a million empty lines stay within the limit too."""
SECOND: Final = 1_000_000_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """``taken`` bytes of the entries from ``second`` on; the last of them has the stamp ``last``, in nanoseconds."""

    second: int = 0
    taken: int = 0
    last: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """``ExecutorError`` for what ``str`` did not write."""
        try:
            return cls(*map(int, text.split(":"))) if text else cls()
        except (ValueError, TypeError) as error:
            raise ExecutorError(f"{text!r} is no cursor that this executor gave.") from error

    def __str__(self) -> str:
        return f"{self.second}:{self.taken}:{self.last}" if self.taken else ""


class OutOfPlaceError(Exception):
    """The output does not have at the cursor what it had there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A piece of output, at most a line, and its stamp in nanoseconds since 1970."""

    at: int
    data: bytes


class LogReader:
    """
    Reads on from ``cursor`` in ``entries``, a log that begins at the cursor's second or before.

    ``by_stamp``: what is later than the cursor's last stamp, whatever came before; otherwise ``OutOfPlaceError``
    when the bytes before the cursor are not those that were taken.
    """

    def __init__(self, entries: Iterable[Entry], cursor: Cursor, *, by_stamp: bool = False) -> None:
        self._entries, self.cursor = iter(entries), cursor
        self._start, self._by_stamp = cursor, by_stamp
        self._to_skip = 0 if by_stamp else cursor.taken
        self._bytes: Counter[int] = Counter()
        self._held: Entry | None = None

    def read(self, limit_bytes: int) -> LogBatch:
        """The next entries, about ``limit_bytes`` at most. To be called again where ``has_more``."""
        new: list[LogEntry] = []
        size = 0
        while (entry := self._next()) is not None:
            if size >= limit_bytes and new:
                self._held = entry
                break
            size += len(entry.data) + ENTRY_BYTES
            self._bytes[entry.at // SECOND] += len(entry.data)
            self.cursor = Cursor(self.cursor.second, 1, entry.at)
            new.append(LogEntry(Stream.STDOUT, entry.data, EPOCH + timedelta(microseconds=entry.at // 1000)))
        if self._to_skip:
            raise OutOfPlaceError
        if new:
            # A second earlier than the last entry's, for those that are out of order.
            second = max(self._start.second, self.cursor.last // SECOND - 1)
            taken = sum(count for at, count in self._bytes.items() if at >= second)
            self.cursor = Cursor(second, taken, self.cursor.last)
        return LogBatch(tuple(new), str(self.cursor), has_more=self._held is not None)

    def close(self) -> None:
        """The log is not read on."""
        if isinstance(self._entries, Generator):
            self._entries.close()

    def _next(self) -> Entry | None:
        """The next entry after the cursor, or the rest of one."""
        if self._held is not None:
            entry, self._held = self._held, None
            return entry
        for entry in self._entries:
            if entry.at >= self._start.second * SECOND:
                known = self._known(entry)
                self._bytes[entry.at // SECOND] += known
                if known < len(entry.data):
                    return Entry(entry.at, entry.data[known:])
        return None

    def _known(self, entry: Entry) -> int:
        """How many of its bytes were taken before."""
        if self._by_stamp:
            return len(entry.data) if entry.at <= self._start.last else 0
        known = min(self._to_skip, len(entry.data))
        self._to_skip -= known
        if known and not self._to_skip and entry.at != self._start.last:
            raise OutOfPlaceError
        return known


def entries_of(pieces: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of a stamped log that comes in ``pieces``. ``ValueError`` when it is none."""
    rest, at = b"", None
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield from _entries_of_line(line + b"\n", at)
            at = None
        while len(rest) > ENTRY_LIMIT + 2 * LONGEST_STAMP:
            entry, rest = _first(rest, at)
            at = entry.at
            yield entry
    yield from _entries_of_line(rest, at)


def _entries_of_line(line: bytes, at: int | None) -> Iterator[Entry]:
    while line:
        entry, line = _first(line, at)
        at = entry.at
        yield entry


def _first(text: bytes, at: int | None) -> tuple[Entry, bytes]:
    """The first entry and the rest. ``at``: the stamp of the line that it may continue."""
    stamp = STAMP.match(text)
    if stamp is not None:
        at = _nanoseconds(stamp)
        text = text[stamp.end() :]
    if at is None:
        raise ValueError(f"the node cannot read its own log: {text[:300].decode(errors='replace').strip()}")
    end = _end_of_unfinished(text, at)
    return Entry(at, text[:end]), text[end:]


def _end_of_unfinished(text: bytes, at: int) -> int:
    """
    Where the next entry begins: the other stream may go on behind a last line that has no end.

    A stamp that the program wrote itself is earlier than the one that the engine gave the line.
    """
    for stamp in ENGINES_STAMP.finditer(text, 1, ENTRY_LIMIT + LONGEST_STAMP):
        if _nanoseconds(stamp) >= at:
            return min(stamp.start(), ENTRY_LIMIT)
    return ENTRY_LIMIT


def _nanoseconds(stamp: re.Match[bytes]) -> int:
    return _seconds(stamp[1] + stamp[3]) * SECOND + int((stamp[2] or b"0").ljust(9, b"0"))


@lru_cache(maxsize=256)
def _seconds(moment: bytes) -> int:
    return int(datetime.fromisoformat(moment.decode("ascii")).timestamp())
