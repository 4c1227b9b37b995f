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
from container_manager.services.finishing import Ending
from container_manager.services.outcomes import explain, outcome_of
from container_manager.services.output import OutputWriter, store_output
from container_manager.specs import LogBatch, Usage
from container_manager.states import Outcome
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
        self._endings: list[tuple[Watch, Ending]] = []
        self._unwritten: list[tuple[Watch, LogBatch, Usage, bool]] = []

    def tick(self, watches: Iterable[Watch]) -> None:
        """What was read is written, and reads are under way for whatever is due."""
        self._write()
        now = time.monotonic()
        running = [watch for watch in watches if watch.phase in (Phase.RUNNING, Phase.ENDED)]
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
        return list(self._endings)

    def forget(self, endings: Iterable[tuple[Watch, Ending]]) -> None:
        done = {watch.claim.attempt_id for watch, _ in endings}
        self._endings = [entry for entry in self._endings if entry[0].claim.attempt_id not in done]

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
        batch = self._executor.logs(read.watch.handle, read.cursor, limit_bytes=limit)
        if not read.is_final or batch.has_more:
            return batch, Usage()
        try:
            return batch, self._executor.usage(read.watch.handle)
        except ExecutorError:
            return batch, Usage()

    def _open(self, watch: Watch) -> str:
        try:
            attempt = JobAttempt.objects.using(self._using).get(pk=watch.claim.attempt_id)
            watch.output = OutputWriter.resume(attempt, self._using)
        except JobAttempt.DoesNotExist:
            return ""
        return watch.output.cursor

    def _on_read(self, read: Read, answer: tuple[LogBatch, Usage] | None, error: Exception | None) -> None:
        read.watch.is_reading = False
        if answer is None:
            self._on_failure(read.watch, error, is_final=read.is_final)
        else:
            self._unwritten.append((read.watch, *answer, read.is_final))

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
        if seen is None or any(entry[0] is watch for entry in self._endings):
            return
        outcome = outcome_of(seen, killed_by=watch.killed_by, killed_at=watch.killed_at)
        has_late_stop = bool(watch.killed_by) and outcome not in (Outcome.CANCELLED, Outcome.TIMEOUT)
        watch.is_reading = True
        self._endings.append((
            watch,
            Ending(
                claim=watch.claim, outcome=outcome, exit_code=seen.exit_code, error=explain(outcome, seen),
                started_at=seen.started_at, finished_at=seen.finished_at, usage=usage,
                has_late_stop=has_late_stop,
            ),
        ))  # fmt: skip
