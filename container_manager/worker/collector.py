"""The output of a worker's attempts while they run, and what is left of it when they have ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connections

from container_manager.exceptions import ExecutorError, ExecutorUnavailableError
from container_manager.executors import Executor
from container_manager.models import JobAttempt
from container_manager.progress import Progress
from container_manager.services.finishing import Ending, ending_of
from container_manager.services.output import OutputWriter, store_output
from container_manager.services.reading import OutputReader, store_progress
from container_manager.specs import LogBatch, Usage
from container_manager.worker.calls import Calls
from container_manager.worker.watch import Phase, Watch

logger = logging.getLogger(__name__)

READS_PER_SECOND: Final = 50
"""At most this many log requests a second to one engine, however many jobs run."""
SHORTEST_PAUSE: Final = 0.5
READ_TRIES: Final = 5
READ_RETRY_SECONDS: Final = 2.0
FIRST_READ_SECONDS: Final = 0.3
READ_TOGETHER: Final = 16
"""So many ended attempts are read in one go."""
READ_BYTES: Final = 1 << 20
CATCH_UP_BYTES: Final = 4 << 20
"""Once a read was cut short: an engine may scan its whole log for each."""
MOST_REREADS: Final = 4
"""A read that ends within a secret is repeated, each time twice as long, so often at most."""
PROGRESS_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Read:
    """One question for output: ``watch``'s, after ``cursor``; the last one when it has ended."""

    watch: Watch
    cursor: str
    is_final: bool


class Collector:
    """
    Reads output in turns and writes it; a trouble with output never changes how a job ended.

    One read per attempt is under way at most. An ended attempt is read to its end before it
    becomes an ``Ending``.
    """

    def __init__(self, executor: Executor, calls: Calls, worker: UUID, using: str) -> None:
        self._executor, self._calls, self._worker, self._using = executor, calls, worker, using
        self._endings: dict[UUID, tuple[Watch, Ending]] = {}
        self._unwritten: list[tuple[Watch, LogBatch, Usage, bool]] = []

    def tick(self, watches: Iterable[Watch]) -> None:
        """What was read is written, and reads are under way for whatever is due."""
        self._write()
        now = time.monotonic()
        running = [watch for watch in watches if watch.phase in (Phase.RUNNING, Phase.ENDED)]
        self._tell_progress(running, now)
        pause = max(SHORTEST_PAUSE, len(running) / READS_PER_SECOND)
        ended: list[Watch] = []
        for watch in running:
            if watch.is_reading or now < watch.next_read:
                continue
            if watch.phase is Phase.ENDED:
                ended.append(watch)
            elif now - watch.since >= FIRST_READ_SECONDS:
                watch.next_read = now + pause
                self._read([watch])
        self._read([watch for watch in ended if not watch.is_behind], together=READ_TOGETHER)
        self._read([watch for watch in ended if watch.is_behind])

    def endings(self) -> list[tuple[Watch, Ending]]:
        """Attempts whose end and output are known, not yet forgotten."""
        return list(self._endings.values())

    def forget(self, endings: Iterable[tuple[Watch, Ending]]) -> None:
        for watch, _ in endings:
            self._endings.pop(watch.claim.attempt_id, None)

    def _read(self, watches: Sequence[Watch], *, together: int = 1) -> None:
        reads = []
        for watch in watches:
            cursor = watch.output.cursor if watch.output else self._open(watch)
            reads.append(Read(watch, cursor, is_final=watch.phase is Phase.ENDED))
        # Only now: an outage in between must not leave one marked that nobody reads.
        for watch in watches:
            watch.is_reading = True
        self._calls.submit_each(reads, self._ask, self._on_read, together=together)

    def _ask(self, read: Read) -> tuple[LogBatch, Usage]:
        limit = CATCH_UP_BYTES if read.watch.is_behind else READ_BYTES
        batch = self._executor.logs(read.watch.handle, read.cursor, limit_bytes=limit << read.watch.rereads)
        if batch.entries and read.watch.reader is None:
            read.watch.reader = OutputReader(read.watch.claim)
        if not read.is_final or batch.has_more or self._executor.has_live_usage:
            return batch, Usage()
        try:
            return batch, self._executor.usage(read.watch.handle)
        except ExecutorError:
            return batch, Usage()

    def _open(self, watch: Watch) -> str:
        try:
            attempt = JobAttempt.objects.using(self._using).get(pk=watch.claim.attempt_id)
            watch.output = OutputWriter.resume(attempt, self._using)
            before = Usage(memory_peak_bytes=attempt.memory_peak_bytes, cpu_seconds=attempt.cpu_seconds)
            watch.usage = before.with_later(watch.usage)
        except JobAttempt.DoesNotExist:
            return ""
        return watch.output.cursor

    def _on_read(self, read: Read, answer: tuple[LogBatch, Usage] | None, error: Exception | None) -> None:
        read.watch.is_reading = False
        if answer is None:
            self._on_failure(read.watch, error, is_final=read.is_final)
            return
        batch, usage = answer
        readable = self._readable(read, batch)
        if readable is not None:
            self._unwritten.append((read.watch, readable, usage, read.is_final))

    def _readable(self, read: Read, batch: LogBatch) -> LogBatch | None:
        """``batch`` as it may be kept; ``None`` = it is read again, with what follows."""
        watch = read.watch
        if watch.reader is None:
            return batch
        must_take = batch.has_more and watch.rereads >= MOST_REREADS
        readable = watch.reader.read(batch, is_end=read.is_final and not batch.has_more, must_take=must_take)
        if readable is not None:
            watch.rereads = 0
        elif batch.has_more:
            watch.rereads += 1
            watch.next_read = 0.0
        return readable

    def _tell_progress(self, watches: Sequence[Watch], now: float) -> None:
        """At most once a second for each job, and always the last word of one that has ended."""
        due: dict[UUID, Progress] = {}
        for watch in watches:
            is_due = now >= watch.next_progress or watch.phase is Phase.ENDED
            if is_due and watch.reader is not None and watch.reader.progress is not None:
                due[watch.claim.job.pk] = watch.reader.progress
        if not due:
            return
        store_progress(due, self._worker, self._using)
        for watch in watches:
            if watch.reader is not None and watch.claim.job.pk in due:
                watch.reader.progress, watch.next_progress = None, now + PROGRESS_SECONDS

    def _on_failure(self, watch: Watch, error: Exception | None, *, is_final: bool) -> None:
        watch.read_failures += 1
        watch.next_read = time.monotonic() + READ_RETRY_SECONDS
        if isinstance(error, ExecutorUnavailableError) and watch.read_failures < READ_TRIES:
            return
        logger.warning("no output of %s: %s", watch.handle.name, error, extra={"job": str(watch.claim.job.pk)})
        if is_final:
            self._end(watch, Usage())

    def _write(self) -> None:
        """Everything that was read since the last time, in one transaction."""
        if not self._unwritten:
            return
        entries, self._unwritten = self._unwritten, []
        writes = [watch.output.take(batch) for watch, batch, _, _ in entries if watch.output]
        try:
            store_output([write for write in writes if write is not None], self._worker, self._using)
        except DatabaseError as error:
            self._on_unwritten([watch for watch, *_ in entries], error)
            return
        for watch, batch, usage, is_final in entries:
            watch.is_behind = batch.has_more
            if batch.has_more:
                watch.next_read = 0.0
            elif is_final:
                self._end(watch, usage)

    def _on_unwritten(self, watches: Sequence[Watch], error: DatabaseError) -> None:
        for watch in watches:
            # Built anew from the row at the next read: what was written and what was not is known there.
            watch.output = None
            watch.read_failures += 1
            watch.next_read = time.monotonic() + READ_RETRY_SECONDS
        if not connections[self._using].is_usable():
            raise error
        for watch in watches:
            logger.warning("output not kept: %s", error, extra={"job": str(watch.claim.job.pk)})
            if watch.read_failures >= READ_TRIES and watch.phase is Phase.ENDED:
                self._end(watch, Usage())

    def _end(self, watch: Watch, usage: Usage) -> None:
        seen = watch.seen
        if seen is None or watch.claim.attempt_id in self._endings:
            return
        watch.is_reading = True
        ending = ending_of(
            watch.claim, seen, watch.usage.with_later(usage), killed_by=watch.killed_by, killed_at=watch.killed_at
        )
        self._endings[watch.claim.attempt_id] = watch, ending
