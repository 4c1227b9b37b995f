"""The output of a worker's attempts while they run, and what is left of it when they have ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connections

from container_manager.exceptions import ExecutorError, ExecutorUnavailableError
from container_manager.executors import Executor
from container_manager.models import JobAttempt
from container_manager.services.finishing import Ending
from container_manager.services.outcomes import explain, outcome_of
from container_manager.services.output import OutputWriter
from container_manager.specs import Handle, LogBatch, Usage
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


class Collector:
    """
    Reads output in turns and writes it; a trouble with output never changes how a job ended.

    One read per attempt is under way at most. An ended attempt is read to its end before it
    becomes an ``Ending``.
    """

    def __init__(self, executor: Executor, calls: Calls, worker: UUID, using: str) -> None:
        self._executor, self._calls, self._worker, self._using = executor, calls, worker, using
        self._endings: list[tuple[Watch, Ending]] = []

    def tick(self, watches: Iterable[Watch]) -> None:
        """Reads are under way for whatever is due."""
        now = time.monotonic()
        running = [watch for watch in watches if watch.phase in (Phase.RUNNING, Phase.ENDED)]
        pause = max(SHORTEST_PAUSE, len(running) / READS_PER_SECOND)
        for watch in running:
            if watch.is_reading or now < watch.next_read:
                continue
            if watch.phase is Phase.ENDED:
                self._read(watch)
            elif now - watch.since >= FIRST_READ_SECONDS:
                watch.next_read = now + pause
                self._read(watch)

    def endings(self) -> list[tuple[Watch, Ending]]:
        """Attempts whose end and output are known, not yet forgotten."""
        return list(self._endings)

    def forget(self, endings: Iterable[tuple[Watch, Ending]]) -> None:
        done = {watch.claim.attempt_id for watch, _ in endings}
        self._endings = [entry for entry in self._endings if entry[0].claim.attempt_id not in done]

    def _read(self, watch: Watch) -> None:
        watch.is_reading = True
        is_final = watch.phase is Phase.ENDED
        cursor = watch.output.cursor if watch.output else None
        if cursor is None:
            cursor = self._open(watch)
        reading = self._harvest if is_final else self._look
        self._calls.submit(
            lambda answer, error: self._on_read(watch, answer, error, is_final), reading, watch.handle, cursor
        )

    def _look(self, handle: Handle, cursor: str) -> tuple[LogBatch, Usage]:
        return self._executor.logs(handle, cursor), Usage()

    def _harvest(self, handle: Handle, cursor: str) -> tuple[LogBatch, Usage]:
        batch = self._executor.logs(handle, cursor)
        if batch.has_more:
            return batch, Usage()
        try:
            return batch, self._executor.usage(handle)
        except ExecutorError:
            return batch, Usage()

    def _open(self, watch: Watch) -> str:
        try:
            attempt = JobAttempt.objects.using(self._using).get(pk=watch.claim.attempt_id)
            watch.output = OutputWriter.resume(attempt, self._worker, self._using)
        except JobAttempt.DoesNotExist:
            return ""
        return watch.output.cursor

    def _on_read(
        self, watch: Watch, answer: tuple[LogBatch, Usage] | None, error: Exception | None, is_final: bool
    ) -> None:
        watch.is_reading = False
        if answer is None:
            self._on_failure(watch, error, is_final)
            return
        batch, usage = answer
        if not self._write(watch, batch):
            return
        if batch.has_more:
            watch.next_read = 0.0
        elif is_final:
            self._end(watch, usage)

    def _on_failure(self, watch: Watch, error: Exception | None, is_final: bool) -> None:
        watch.read_failures += 1
        watch.next_read = time.monotonic() + READ_RETRY_SECONDS
        if isinstance(error, ExecutorUnavailableError) and watch.read_failures < READ_TRIES:
            return
        logger.warning("no output of %s: %s", watch.handle.name, error, extra={"job": str(watch.claim.job.pk)})
        if is_final:
            self._end(watch, Usage())

    def _write(self, watch: Watch, batch: LogBatch) -> bool:
        if watch.output is None:
            return True
        try:
            watch.output.append(batch)
        except DatabaseError as error:
            # Built anew from the row at the next read: what was written and what was not is known there.
            watch.output = None
            watch.read_failures += 1
            watch.next_read = time.monotonic() + READ_RETRY_SECONDS
            if not connections[self._using].is_usable():
                raise
            logger.warning("output not kept: %s", error, extra={"job": str(watch.claim.job.pk)})
            return watch.read_failures >= READ_TRIES
        return True

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
