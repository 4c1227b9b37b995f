"""Keeping an attempt's output: the head, a ring for the tail, and the number of bytes between."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from container_manager import conf
from container_manager.models import JobAttempt, JobLog
from container_manager.models.log import pack
from container_manager.ownership import owned
from container_manager.specs import LogBatch, LogEntry
from container_manager.sql.rowvalues import each_row

HEAD_CHUNKS = TAIL_CHUNKS = 16


class OutputWriter:
    """
    The output of one attempt as its owner cuts it into chunks.

    At most ``LOG_MAX_BYTES`` are kept, in at most 32 chunks of at most 64 KiB. Holds one open
    chunk in memory. After a failed ``store_output`` it is to be thrown away, and made anew from the row.
    """

    def __init__(self, attempt_id: UUID) -> None:
        """The writer of an attempt that has no output yet. No query."""
        self.attempt_id = attempt_id
        self.cursor = ""
        self._seen = self._left_out = 0
        self._written = 0
        self._payloads: deque[int] = deque(maxlen=TAIL_CHUNKS)
        self._open = bytearray()
        self._open_payload = 0
        self.has_open_row = False
        """Whether the open chunk's row may exist."""

    @classmethod
    def resume(cls, attempt: JobAttempt, using: str) -> OutputWriter:
        """The writer of an attempt some of whose output may have been written; it continues after that."""
        writer = cls(attempt.pk)
        writer.cursor, writer._written = attempt.log_cursor, attempt.log_sequence
        writer._seen, writer._left_out = attempt.log_bytes, attempt.log_bytes_left_out
        if attempt.log_sequence:
            writer._load_tail(using)
        return writer

    def _load_tail(self, using: str) -> None:
        kept = JobLog.objects.using(using).filter(attempt_id=self.attempt_id).order_by("-sequence")[:TAIL_CHUNKS]
        *closed, last = [(chunk, sum(len(entry.data) for entry in chunk.entries())) for chunk in reversed(kept)]
        self._payloads.extend(payload for chunk, payload in closed if chunk.sequence >= HEAD_CHUNKS)
        self._open, self._open_payload = bytearray(last[0].data), last[1]
        self.has_open_row = True
        self._written -= 1

    def take(self, batch: LogBatch) -> OutputWrite | None:
        """What is to be written so that ``batch`` is kept; ``None`` = nothing. ``store_output`` writes it."""
        self.cursor = batch.cursor
        if not batch.entries or conf.get("OUTPUT_STORE") is None:
            return None
        first = self._written
        chunks = self._fill(batch.entries)
        return OutputWrite(self, first, chunks, self.cursor, self._seen, self._left_out)

    def _fill(self, entries: Iterable[LogEntry]) -> list[bytes]:
        """Chunks from the open one on, the last of which stays open."""
        closed: list[bytes] = []
        most = min(65_000, max(1_024, conf.get("LOG_MAX_BYTES") // (HEAD_CHUNKS + TAIL_CHUNKS)))
        for entry in entries:
            self._seen += len(entry.data)
            for start in range(0, len(entry.data), most):
                piece = entry.data[start : start + most]
                if self._open and len(self._open) + len(piece) > most:
                    closed.append(self._close())
                self._open += pack(LogEntry(entry.stream, piece, entry.at))
                self._open_payload += len(piece)
        return [*closed, bytes(self._open)] if self._open else closed

    def _close(self) -> bytes:
        chunk = bytes(self._open)
        if self._written >= HEAD_CHUNKS:
            if len(self._payloads) == TAIL_CHUNKS - 1:
                self._left_out += self._payloads.popleft()
            self._payloads.append(self._open_payload)
        self._open, self._open_payload = bytearray(), 0
        self._written += 1
        return chunk


@dataclass(frozen=True, slots=True)
class OutputWrite:
    """One attempt's new output: ``chunks`` from the sequence ``first`` on, the first of which may be there, shorter."""

    writer: OutputWriter
    first: int
    chunks: list[bytes]
    cursor: str
    seen: int
    left_out: int

    @property
    def end(self) -> int:
        return self.first + len(self.chunks)

    @property
    def oldest_kept(self) -> int:
        """Of the tail, the first sequence that its ring still holds."""
        return max(HEAD_CHUNKS, self.end - TAIL_CHUNKS)


def store_output(writes: Sequence[OutputWrite], worker: UUID, using: str) -> set[UUID]:
    """
    The output of several attempts is kept and their cursors moved, atomically.

    Guarded by ``worker``: returns the attempts that are still its own; nothing is written for
    the others. A handful of statements however many attempts there are.
    """
    if not writes:
        return set()
    with transaction.atomic(using=using):
        ids = [write.writer.attempt_id for write in writes]
        rows = owned(ids, worker, using)
        columns: dict[str, dict[UUID, Any]] = {
            "log_cursor": {write.writer.attempt_id: write.cursor for write in writes},
            "log_sequence": {write.writer.attempt_id: write.end for write in writes},
            "log_bytes": {write.writer.attempt_id: write.seen for write in writes},
            "log_bytes_left_out": {write.writer.attempt_id: write.left_out for write in writes},
        }
        moved = rows.update(
            **{name: each_row(JobAttempt, name, values, rows=len(writes)) for name, values in columns.items()}
        )
        kept = set(ids) if moved == len(ids) else set(rows.values_list("pk", flat=True))
        _store_chunks([write for write in writes if write.writer.attempt_id in kept], using)
    return kept


def _store_chunks(writes: Iterable[OutputWrite], using: str) -> None:
    logs, fresh = JobLog.objects.using(using), []
    for write in writes:
        rows = logs.filter(attempt_id=write.writer.attempt_id)
        for sequence, data in enumerate(write.chunks, start=write.first):
            if HEAD_CHUNKS <= sequence < write.oldest_kept:
                continue
            # Only the first can be there: it was the open one.
            is_there = (
                sequence == write.first
                and write.writer.has_open_row
                and rows.filter(sequence=sequence).update(data=data)
            )
            if not is_there:
                fresh.append(JobLog(attempt_id=write.writer.attempt_id, sequence=sequence, data=data))
        write.writer.has_open_row = True
        if write.oldest_kept > HEAD_CHUNKS:
            rows.filter(sequence__gte=HEAD_CHUNKS, sequence__lt=write.oldest_kept).delete()
    logs.bulk_create(fresh)
