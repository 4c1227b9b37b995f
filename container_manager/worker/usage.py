"""What running attempts use, asked now and then of an engine that tells nothing after the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from container_manager.exceptions import ExecutorError, ExecutorUnavailableError
from container_manager.executors import Executor
from container_manager.services.usage import store_usage
from container_manager.specs import Usage
from container_manager.worker.calls import Calls
from container_manager.worker.watch import Phase, Watch

logger = logging.getLogger(__name__)

FIRST_SAMPLE_SECONDS: Final = 1.0
SAMPLE_SECONDS: Final = 5.0
"""Between two questions about one attempt, at least."""
SAMPLES_PER_SECOND: Final = 10
"""At most so many questions to one engine, on the average, however many jobs run."""
MOST_TOGETHER: Final = 20
WRITE_SECONDS: Final = 5.0

Sample = tuple[Watch, Usage]


class UsageSampler:
    """
    Keeps the most that was measured on each watch, and on its row.

    One round of questions is under way at most, in one thread: an engine that is slow is asked less.
    """

    def __init__(self, executor: Executor, calls: Calls, worker: UUID, using: str) -> None:
        self._executor, self._calls, self._worker, self._using = executor, calls, worker, using
        self._is_asking = False
        self._next_round = 0.0
        self._next_write = 0.0
        self._measured: dict[UUID, Usage] = {}

    def tick(self, watches: Iterable[Watch]) -> None:
        """Whatever is due is asked; what was measured is written, at most every ``WRITE_SECONDS``."""
        if not self._executor.has_live_usage:
            return
        now = time.monotonic()
        self._write(now)
        if self._is_asking or now < self._next_round:
            return
        due = [
            watch
            for watch in watches
            if watch.phase is Phase.RUNNING and now - watch.since >= FIRST_SAMPLE_SECONDS and now >= watch.next_sample
        ]
        due = sorted(due, key=lambda watch: watch.next_sample)[:MOST_TOGETHER]
        if not due:
            return
        for watch in due:
            watch.next_sample = now + SAMPLE_SECONDS
        self._is_asking, self._next_round = True, now + len(due) / SAMPLES_PER_SECOND
        self._calls.submit(self._on_sampled, self._ask, due)

    def _ask(self, watches: Sequence[Watch]) -> list[Sample]:
        samples: list[Sample] = []
        for watch in watches:
            try:
                samples.append((watch, self._executor.usage(watch.handle)))
            except ExecutorUnavailableError as error:
                logger.debug("not measured: %s", error)
                break
            except ExecutorError as error:
                logger.debug("%s not measured: %s", watch.handle.name, error)
        return samples

    def _on_sampled(self, samples: list[Sample] | None, error: Exception | None) -> None:
        self._is_asking = False
        for watch, usage in samples or ():
            watch.usage = watch.usage.with_later(usage)
            self._measured[watch.claim.attempt_id] = watch.usage
        if error is not None:
            logger.warning("usage not measured: %s", error)

    def _write(self, now: float) -> None:
        if not self._measured or now < self._next_write:
            return
        store_usage(self._measured, self._worker, self._using)
        self._measured, self._next_write = {}, now + WRITE_SECONDS
