"""An attempt's output, put together from its chunks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from container_manager.exceptions import StorageUnavailableError
from container_manager.models.attempt import JobAttempt
from container_manager.models.log import JobLog, unpack
from container_manager.models.stored_output import Chunk, log_file, stored_chunks
from container_manager.specs import LogEntry, Stream

logger = logging.getLogger(__name__)

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
    """
    What is kept of the output after a position, a chunk in memory at a time.

    Where the storage that has it does not answer, a line says so in its place.
    """
    position = after or OutputPosition()
    try:
        for sequence, data in _chunks(attempt, position.sequence):
            entries = tuple(unpack(data))
            expected = position.sequence if position.entries == 0 else position.sequence + 1
            skip = position.entries if sequence == position.sequence else 0
            is_after_gap = sequence > expected
            position = OutputPosition(sequence, len(entries))
            if entries[skip:]:
                yield OutputPiece(entries[skip:], position, is_after_gap)
    except StorageUnavailableError as error:
        logger.warning("output not read: %s", error, extra={"job": str(attempt.job_id)})
        yield OutputPiece((LogEntry(Stream.STDERR, f"[{error}]\n".encode()),), position)


def _chunks(attempt: JobAttempt, first: int) -> Iterator[Chunk]:
    """In the database, or, moved out of it as a whole, in a storage."""
    is_in_database = False
    rows = JobLog.objects.using(attempt._state.db).filter(attempt_id=attempt.pk, sequence__gte=first)
    for sequence, data in rows.order_by("sequence").values_list("sequence", "data").iterator(CHUNKS_AT_ONCE):
        is_in_database = True
        yield sequence, bytes(data)
    # Only what has ended is moved, and a reader that knows of the end has asked for the attempt after it.
    file = None if is_in_database or attempt.finished_at is None else log_file(attempt)
    if file is None:
        return
    try:
        yield from stored_chunks(file, first)
    except Exception as error:
        # Any library may be under it.
        where = f"The output is in the storage {file.storage}, which does not give it out"
        raise StorageUnavailableError(f"{where}: {type(error).__name__}.") from error


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
