"""An attempt's output, put together from its chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from container_manager.models.attempt import JobAttempt
from container_manager.models.log import JobLog
from container_manager.specs import LogEntry

CHUNKS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class OutputPosition:
    """How far a reader has come: ``entries`` of the chunk ``sequence``, which may still grow."""

    sequence: int = 0
    entries: int = 0


@dataclass(frozen=True, slots=True)
class OutputPiece:
    """Entries that follow one another. ``is_after_gap``: output before them was left out, or pruned."""

    entries: tuple[LogEntry, ...]
    position: OutputPosition
    is_after_gap: bool = False


def read_output(attempt: JobAttempt, after: OutputPosition | None = None) -> Iterator[OutputPiece]:
    """What is kept of the output after a position, a chunk in memory at a time."""
    position = after or OutputPosition()
    chunks = JobLog.objects.using(attempt._state.db).filter(attempt_id=attempt.pk, sequence__gte=position.sequence)
    for chunk in chunks.order_by("sequence").iterator(chunk_size=CHUNKS_AT_ONCE):
        entries = tuple(chunk.entries())
        expected = position.sequence if position.entries == 0 else position.sequence + 1
        skip = position.entries if chunk.sequence == position.sequence else 0
        is_after_gap = chunk.sequence > expected
        position = OutputPosition(chunk.sequence, len(entries))
        if entries[skip:]:
            yield OutputPiece(entries[skip:], position, is_after_gap)


def gap_line(attempt: JobAttempt) -> str:
    """The line that stands for what was left out."""
    return f"\n[... {attempt.log_bytes_left_out} bytes left out ...]\n"


def attempt_output(attempt: JobAttempt, *, stream: str | None = None, tail: int | None = None) -> str:
    """The text of ``attempt``: one stream or both, its last ``tail`` lines, and a line where bytes were left out."""
    parts: list[bytes] = []
    for piece in read_output(attempt):
        if piece.is_after_gap:
            parts.append(gap_line(attempt).encode())
        parts += [entry.data for entry in piece.entries if stream is None or entry.stream == stream]
    text = b"".join(parts).decode("utf-8", errors="replace")
    return text if tail is None else "".join(text.splitlines(keepends=True)[-tail:] if tail > 0 else [])
