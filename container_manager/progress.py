"""``::progress 40 Resizing`` on standard output: how far a job is, in its own words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from container_manager.specs import LogEntry, Stream

MARK: Final = b"::progress "
LONGEST_LINE: Final = 1_000
LONGEST_TEXT: Final = 200
_LINE: Final = re.compile(rb"^::progress[ \t]+(?P<percent>\d{1,3})(?:\.\d+)?%?(?:[ \t]+(?P<text>[^\r\n]*))?\r?$")


@dataclass(frozen=True, slots=True)
class Progress:
    percent: int
    text: str = ""


class ProgressReader:
    """Finds the last progress in output that comes in pieces, wherever they are cut."""

    def __init__(self) -> None:
        self._rest = b""

    def read(self, entries: Iterable[LogEntry], *, is_end: bool = False) -> Progress | None:
        """The last that ``entries`` tell, with what was left of those before; ``None`` = nothing new."""
        data = self._rest + b"".join(entry.data for entry in entries if entry.stream is Stream.STDOUT)
        lines, _, rest = data.rpartition(b"\n")
        if is_end:
            lines, rest = data, b""
        # Only what may still become such a line is kept, and never much.
        may_be_one = rest.startswith(MARK) or MARK.startswith(rest)
        self._rest = rest if may_be_one and len(rest) <= LONGEST_LINE else b"-"
        return _last(lines) if MARK in lines else None


def _last(lines: bytes) -> Progress | None:
    for line in reversed(lines.split(b"\n")):
        match = _LINE.match(line)
        if match and (percent := int(match["percent"])) <= 100:
            text = (match["text"] or b"").decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
            return Progress(percent, text[:LONGEST_TEXT])
    return None
