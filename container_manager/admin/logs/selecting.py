"""Which lines of an attempt's output a page shows: the last ones, those before or around a line, or what is new."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.utils.safestring import SafeString

from container_manager.admin.logs import ansi
from container_manager.admin.logs.ansi import Style
from container_manager.admin.logs.lines import Line, Place, read_lines
from container_manager.models import JobAttempt
from container_manager.specs import Stream

SHOWN: Final = 1_000
_PLAIN: Final = Style()
BEFORE_LINKED: Final = 200
"""Lines shown ahead of the one that a link means."""


class Cursor(NamedTuple):
    """How far a page has come: where the next line begins, how many there were, and how the text looks there."""

    place: Place = Place()
    number: int = 0
    style: Style = Style()

    @classmethod
    def read(cls, text: str) -> Cursor | None:
        place_text, _, rest = text.partition("_")
        number, _, style = rest.partition("_")
        place = Place.read(place_text)
        if place is None or not (number.isascii() and number.isdigit() and len(number) < 10):
            return None
        return cls(place, int(number), Style.read(style))

    def __str__(self) -> str:
        return f"{self.place}_{self.number}_{self.style}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """At most one of ``after``, ``before`` and ``around``; none = the last lines."""

    stream: Stream | None = None
    find: str = ""
    after: Cursor | None = None
    before: Place | None = None
    around: Place | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Wanted:
        """From a query string; what is wrong there is passed over."""
        stream = query.get("stream", "")
        return cls(
            stream=Stream(stream) if stream in list(Stream) else None,
            find=query.get("find", "")[:200],
            after=Cursor.read(query.get("after", "")),
            before=Place.read(query.get("before", "")),
            around=Place.read(query.get("line", "")),
        )

    def is_enough(self, line: Line, kept: int) -> bool:
        """Whether ``line`` and what follows it are beyond what is wanted."""
        if self.before is not None:
            return line.start >= self.before
        return self.around is not None and kept == SHOWN


@dataclass(frozen=True, slots=True)
class ShownLine:
    line: Line
    html: SafeString
    is_linked: bool = False

    @property
    def is_error(self) -> bool:
        return self.line.stream is Stream.STDERR


@dataclass(frozen=True, slots=True)
class Excerpt:
    """``has_earlier``, ``has_later``: there are more lines in front of it, after it. ``cursor``: to go on from."""

    lines: list[ShownLine]
    cursor: Cursor
    has_earlier: bool
    has_later: bool = False

    @property
    def first(self) -> Place | None:
        return self.lines[0].line.start if self.lines else None


def read_excerpt(attempt: JobAttempt, wanted: Wanted) -> Excerpt:
    """At most ``SHOWN`` lines. All that is kept of the output is read, which ``LOG_MAX_BYTES`` bounds."""
    begin = wanted.after or Cursor()
    kept: deque[tuple[Line, Style]] = deque(maxlen=SHOWN)
    passed, matched, is_full = None, 0, False
    for line, style, following in _styled(read_lines(attempt, begin.place, begin.number), begin.style):
        if not _matches(line, wanted):
            passed = line, following
            continue
        if wanted.is_enough(line, len(kept)):
            is_full = True
            break
        if wanted.around is not None and line.start <= wanted.around and len(kept) >= BEFORE_LINKED:
            kept.popleft()
        kept.append((line, style))
        passed, matched = (line, following), matched + 1
    shown = [
        ShownLine(line, ansi.render(line.text, style, wanted.find)[0], line.start == wanted.around)
        for line, style in kept
    ]
    cursor = begin if passed is None else _beyond(*passed)
    return Excerpt(shown, cursor, has_earlier=matched > len(shown), has_later=is_full)


def _styled(lines: Iterable[Line], style: Style) -> Iterator[tuple[Line, Style, Style]]:
    """Each line with the style that it begins in, and that from which one goes on: an open line is read again."""
    for line in lines:
        after = style if line.is_open else _style_after(line.data, style)
        yield line, style, after
        style = after


def _style_after(data: bytes, style: Style) -> Style:
    last = data.rfind(b"\x1b")
    if last < 0:
        return style
    if data.startswith((b"\x1b[0m", b"\x1b[m"), last):
        # As most coloured lines end: this is read for each line, not only for those that are shown.
        return _PLAIN
    return ansi.style_after(data.decode("utf-8", "replace"), style)


def _beyond(line: Line, style: Style) -> Cursor:
    """From where to go on after ``line``."""
    return Cursor(line.start, line.number - 1, style) if line.is_open else Cursor(line.end, line.number, style)


def _matches(line: Line, wanted: Wanted) -> bool:
    if wanted.stream is not None and line.stream is not wanted.stream:
        return False
    return not wanted.find or wanted.find.casefold() in ansi.plain(line.text).casefold()
