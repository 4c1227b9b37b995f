"""Moments, durations and texts as people read them, on a terminal and on a page."""

from __future__ import annotations

from datetime import UTC, datetime

from django.utils import timezone


def printable(text: str) -> str:
    """``text`` on one line, its control characters spelled out: a job's name must not drive the terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def ago(moment: datetime | None) -> str:
    """How long ago, or in how long, in one unit."""
    if moment is None:
        return ""
    seconds = (timezone.now() - moment).total_seconds()
    return f"in {duration(-seconds)}" if seconds < 0 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"


def local(moment: datetime | None) -> str:
    """The project's zone, named."""
    return "" if moment is None else timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


def iso(moment: datetime) -> str:
    """UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
