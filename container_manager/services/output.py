"""Keeping an attempt's output: the head, a ring for the tail, and the number of bytes between."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction

from container_manager import conf
from container_manager.models import JobAttempt, JobLog
from container_manager.models.log import pack
from container_manager.specs import LogBatch, LogEntry

HEAD_CHUNKS = TAIL_CHUNKS = 16


class OutputWriter:
    """
    The output of one attempt, written by its owner as it comes.

    At most ``LOG_MAX_BYTES`` are kept, in at most 32 chunks of at most 64 KiB. Holds one open
    chunk in memory.
    """

    def __init__(self, attempt_id: UUID, worker: UUID, using: str) -> None:
        """The writer of an attempt that has no output yet. No query."""
        self.using, self.worker, self.attempt_id = using, worker, attempt_id
        self.cursor = ""
        self._seen = self._left_out = 0
        self._chunk_bytes = min(65_000, max(1_024, conf.get("LOG_MAX_BYTES") // (HEAD_CHUNKS + TAIL_CHUNKS)))
        self._written = 0
        self._payloads: deque[int] = deque(maxlen=TAIL_CHUNKS)
        self._open = bytearray()
        self._open_payload = 0

    @classmethod
    def resume(cls, attempt: JobAttempt, worker: UUID, using: str) -> OutputWriter:
        """The writer of an attempt some of whose output may have been written; it continues after that."""
        writer = cls(attempt.pk, worker, using)
        writer.cursor, writer._written = attempt.log_cursor, attempt.log_sequence
        writer._seen, writer._left_out = attempt.log_bytes, attempt.log_bytes_left_out
        if attempt.log_sequence:
            writer._load_tail()
        return writer

    def _load_tail(self) -> None:
        kept = JobLog.objects.using(self.using).filter(attempt_id=self.attempt_id).order_by("-sequence")[:TAIL_CHUNKS]
        *closed, last = [(chunk, sum(len(entry.data) for entry in chunk.entries())) for chunk in reversed(kept)]
        self._payloads.extend(payload for chunk, payload in closed if chunk.sequence >= HEAD_CHUNKS)
        self._open, self._open_payload = bytearray(last[0].data), last[1]
        self._written -= 1

    def append(self, batch: LogBatch) -> bool:
        """
        ``batch`` is kept and the cursor moved, atomically; false = the attempt is no longer this worker's.

        ``_written`` closed chunks precede the open one, which is rewritten until it is full.
        """
        if not batch.entries and batch.cursor == self.cursor:
            return True
        first = self._written
        chunks = self._fill(batch.entries)
        with transaction.atomic(using=self.using):
            moved = (
                JobAttempt.objects.using(self.using)
                .filter(pk=self.attempt_id, worker=self.worker, active_job__isnull=False)
                .update(
                    log_cursor=batch.cursor,
                    log_sequence=first + len(chunks),
                    log_bytes=self._seen,
                    log_bytes_left_out=self._left_out,
                )
            )
            if not moved:
                return False
            self._store(first, chunks)
        self.cursor = batch.cursor
        return True

    def _fill(self, entries: Iterable[LogEntry]) -> list[bytes]:
        """Chunks from the open one on, the last of which stays open."""
        closed: list[bytes] = []
        for entry in entries:
            self._seen += len(entry.data)
            for start in range(0, len(entry.data), self._chunk_bytes):
                piece = entry.data[start : start + self._chunk_bytes]
                if self._open and len(self._open) + len(piece) > self._chunk_bytes:
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

    def _store(self, first: int, chunks: list[bytes]) -> None:
        end = first + len(chunks)
        oldest_kept = max(HEAD_CHUNKS, end - TAIL_CHUNKS)
        rows = JobLog.objects.using(self.using).filter(attempt_id=self.attempt_id)
        fresh: list[JobLog] = []
        for sequence, data in enumerate(chunks, start=first):
            if HEAD_CHUNKS <= sequence < oldest_kept:
                continue
            if sequence > first or not rows.filter(sequence=sequence).update(data=data):
                fresh.append(JobLog(attempt_id=self.attempt_id, sequence=sequence, data=data))
        JobLog.objects.using(self.using).bulk_create(fresh)
        if oldest_kept > HEAD_CHUNKS:
            rows.filter(sequence__gte=HEAD_CHUNKS, sequence__lt=oldest_kept).delete()
