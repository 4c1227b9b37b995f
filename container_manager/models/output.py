"""An attempt's output, put together from its chunks."""

from __future__ import annotations

from collections.abc import Iterator

from container_manager.models.attempt import JobAttempt
from container_manager.models.log import JobLog
from container_manager.specs import LogEntry


def attempt_entries(attempt: JobAttempt) -> Iterator[LogEntry]:
    """The kept entries of ``attempt`` in order, one chunk in memory at a time."""
    chunks = JobLog.objects.using(attempt._state.db).filter(attempt_id=attempt.pk).order_by("sequence")
    for chunk in chunks.iterator(chunk_size=8):
        yield from chunk.entries()


def attempt_output(attempt: JobAttempt, *, stream: str | None = None, tail: int | None = None) -> str:
    """The text of ``attempt``: one stream or both, its last ``tail`` lines, and a line where bytes were left out."""
    parts: list[bytes] = []
    chunks = JobLog.objects.using(attempt._state.db).filter(attempt_id=attempt.pk).order_by("sequence")
    expected = 0
    for chunk in chunks.iterator(chunk_size=8):
        if chunk.sequence != expected:
            parts.append(f"\n[... {attempt.log_bytes_left_out} bytes left out ...]\n".encode())
        expected = chunk.sequence + 1
        parts += [entry.data for entry in chunk.entries() if stream is None or entry.stream == stream]
    text = b"".join(parts).decode("utf-8", errors="replace")
    return text if tail is None else "".join(text.splitlines(keepends=True)[-tail:] if tail > 0 else [])
