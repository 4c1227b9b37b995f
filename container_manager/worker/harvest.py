"""Ended attempts whose files are read before they are finished; a storage that is down only delays them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from container_manager import lifecycle
from container_manager.exceptions import ExecutorError
from container_manager.executors import Executor
from container_manager.models import TABLES
from container_manager.services import outputs
from container_manager.services.finishing import Ending
from container_manager.services.outputs import Harvest
from container_manager.states import Verb
from container_manager.worker.calls import Calls
from container_manager.worker.watch import Watch

logger = logging.getLogger(__name__)

THREADS: Final = 4
FIRST_RETRY_SECONDS: Final = 1.0
LONGEST_RETRY_SECONDS: Final = 60.0

Ended = tuple[Watch, Ending]


@dataclass(slots=True)
class _Reading:
    harvest: Harvest
    is_calling: bool = False
    is_collected: bool = False
    failures: int = 0
    error: str = ""
    next_try: float = 0.0
    ending: Ending | None = None


class Harvester:
    """
    Holds back endings until what their jobs left behind is stored and published.

    A storage or an engine that does not answer is asked again, with growing pauses and for as long
    as it takes; the execution stays until then. Attempts of jobs without a definition pass at once.
    """

    def __init__(self, host_name: str, executor: Executor, wake: threading.Event, using: str) -> None:
        self._name, self._executor, self._wake, self._using = host_name, executor, wake, using
        self._readings: dict[UUID, _Reading] = {}
        self._calls: Calls | None = None

    def ready(self, endings: Sequence[Ended]) -> list[Ended]:
        """Those of ``endings`` that can be finished now, as what was found makes them."""
        if self._calls is not None:
            self._calls.deliver()
        return [entry for entry in map(self._advance, endings) if entry is not None]

    def forget(self, endings: Sequence[Ended]) -> None:
        """They are finished."""
        for watch, _ in endings:
            self._readings.pop(watch.claim.attempt_id, None)

    def close(self) -> None:
        if self._calls is not None:
            self._calls.close()

    def _advance(self, ended: Ended) -> Ended | None:
        watch, ending = ended
        if not outputs.leaves_files(ending, self._executor):
            return ended
        reading = self._readings.get(watch.claim.attempt_id)
        if reading is None:
            reading = _Reading(outputs.begin(watch.claim, self._using))
            self._readings[watch.claim.attempt_id] = reading
        if reading.is_collected and reading.ending is None:
            # Another owner's attempt is not finished by us either: its guard sees to that.
            outputs.publish(reading.harvest, self._using)
            reading.ending = outputs.judged(ending, reading.harvest)
        if reading.ending is not None:
            return watch, reading.ending
        self._note(watch, reading)
        if not reading.is_calling and time.monotonic() >= reading.next_try:
            self._collect(watch, reading)
        return None

    def _collect(self, watch: Watch, reading: _Reading) -> None:
        if self._calls is None:
            self._calls = Calls(f"files-{self._name}", THREADS, self._wake)
        reading.is_calling = True
        self._calls.submit(
            partial(self._on_collected, reading), outputs.collect, reading.harvest, self._executor, watch.handle
        )

    def _on_collected(self, reading: _Reading, _: object, error: Exception | None) -> None:
        reading.is_calling = False
        if error is None:
            reading.is_collected = True
            return
        reading.failures += 1
        pause = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(reading.failures - 1, 10))
        reading.next_try = time.monotonic() + pause
        reading.error = str(error) or type(error).__name__
        if not isinstance(error, ExecutorError):
            logger.error("the files of a job could not be read", exc_info=error)

    def _note(self, watch: Watch, reading: _Reading) -> None:
        """The first failure is an event, so that whoever looks knows what the job waits for."""
        if not reading.error:
            return
        logger.warning("files not read yet: %s", reading.error, extra={"job": str(watch.claim.job.pk)})
        if reading.failures == 1:
            message = f"It has ended; its files are read again until they are stored. {reading.error}"
            lifecycle.record(TABLES, self._using, [watch.claim.subject], Verb.NOTE, message=message)
        reading.error = ""
