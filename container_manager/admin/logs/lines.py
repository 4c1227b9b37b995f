"""An attempt's stored output, cut into lines that keep their address while the output grows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from container_manager.models import JobAttempt
from container_manager.models.output import OutputPosition, read_output
from container_manager.specs import LogEntry, Stream

LONGEST: Final = 20_000
"""Bytes of one line that are shown; a download has all."""


class Place(NamedTuple):
    """Where a line begins: the chunk, the entry in it, the byte in that. The same however the output grows."""

    sequence: int = 0
    entry: int = 0
    offset: int = 0

    @classmethod
    def read(cls, text: str) -> Place | None:
        found = re.fullmatch(r"(\d{1,9})-(\d{1,9})-(\d{1,9})", text, re.ASCII)
        return cls(*map(int, found.groups())) if found else None

    def __str__(self) -> str:
        return f"{self.sequence}-{self.entry}-{self.offset}"


@dataclass(slots=True)
class Line:
    """``end`` is where the next one begins. ``is_open``: it has no line break yet, so it may still grow."""

    start: Place
    number: int
    stream: Stream
    at: datetime | None
    data: bytes
    end: Place
    is_open: bool = True
    is_after_gap: bool = False

    @property
    def text(self) -> str:
        """What a terminal would show of it: what follows its last carriage return. Not yet made safe."""
        text = self.data[:LONGEST].decode("utf-8", errors="replace").rstrip("\r\n")
        cut = " […]" if len(self.data) > LONGEST else ""
        return text.rpartition("\r")[2] + cut


def read_lines(attempt: JobAttempt, start: Place | None = None, number: int = 0) -> Iterator[Line]:
    """
    The lines from ``start`` on, the first of which has ``number`` + 1.

    A change of stream ends a line too, and so do bytes that were left out.
    """
    line: Line | None = None
    for place, entry, is_after_gap in _entries(attempt, start or Place()):
        if line is not None and (is_after_gap or line.stream is not entry.stream):
            line.is_open = False
            yield line
            line = None
        for part, begin, end in _parts(entry, place):
            if line is None:
                number += 1
                line = Line(begin, number, entry.stream, entry.at, b"", end, is_after_gap=is_after_gap)
                is_after_gap = False
            line.data, line.end = line.data + part, end
            if part.endswith(b"\n"):
                line.is_open = False
                yield line
                line = None
    if line is not None:
        yield line


def _entries(attempt: JobAttempt, start: Place) -> Iterator[tuple[Place, LogEntry, bool]]:
    """Each entry, where its first wanted byte is, and whether output in front of it is missing."""
    for piece in read_output(attempt, OutputPosition(start.sequence, start.entry)):
        first = piece.position.entries - len(piece.entries)
        for index, entry in enumerate(piece.entries, start=first):
            is_start = (piece.position.sequence, index) == start[:2]
            place = Place(piece.position.sequence, index, start.offset if is_start else 0)
            yield place, entry, piece.is_after_gap and index == first


def _parts(entry: LogEntry, place: Place) -> Iterator[tuple[bytes, Place, Place]]:
    """What of ``entry`` belongs to one line each, where it begins and where it ends."""
    offset = place.offset
    while offset < len(entry.data):
        found = entry.data.find(b"\n", offset)
        end = len(entry.data) if found < 0 else found + 1
        yield entry.data[offset:end], Place(*place[:2], offset), Place(*place[:2], end)
        offset = end
