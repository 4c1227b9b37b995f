"""What the engine says of a worker's attempts: level-triggered, one bulk question at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from container_manager import conf
from container_manager.executors import Executor
from container_manager.specs import ExecutionState, Observation
from container_manager.states import Outcome
from container_manager.worker.calls import Calls
from container_manager.worker.ends import EndListener
from container_manager.worker.health import HostMonitor
from container_manager.worker.watch import Phase, Watch

logger = logging.getLogger(__name__)

SHORTEST_INTERVAL: Final = 0.02
LOOK_TOGETHER: Final = 4
"""So many executions that were told to have ended are looked at in one go."""


class Observer:
    """
    Asks for every execution of the installation on the host and compares.

    Soon after a start it asks often, then ever less, up to ``POLL_INTERVAL``: the delay stays
    a fraction of a job's own length. An engine that tells of ends by itself is asked less, and
    what it told of is looked at at once. An error is never evidence; missing means missing at
    least twice, ``MISSING_GRACE_SECONDS`` apart, on an engine that has then said who it is.
    """

    def __init__(self, executor: Executor, calls: Calls, monitor: HostMonitor, ends: EndListener) -> None:
        self._executor, self._calls, self._monitor, self._ends = executor, calls, monitor, ends
        self._interval = SHORTEST_INTERVAL
        self._next = 0.0
        self._is_asking = False
        self._told: set[str] = set()
        self._is_told_in_time = False
        """The engine told of the last end before it was seen."""

    def hurry(self) -> None:
        """Something was just started or stopped: look soon."""
        if self._is_told_in_time:
            return
        self._interval = max(SHORTEST_INTERVAL, self._executor.observe_interval_seconds)
        self._next = min(self._next, time.monotonic() + self._interval)

    def tick(self, watches: Mapping[UUID, Watch]) -> None:
        self._look_at_told(watches)
        now = time.monotonic()
        if self._is_asking or now < self._next or not any(w.phase is Phase.RUNNING for w in watches.values()):
            return
        if self._monitor.is_down:
            for watch in watches.values():
                watch.missing_since = None
            return
        self._is_asking = True
        self._calls.submit(
            lambda seen, error: self._on_observed(seen, error, watches, now), self._executor.observe, None
        )

    def _look_at_told(self, watches: Mapping[UUID, Watch]) -> None:
        self._told |= self._ends.take()
        if not self._told:
            return
        by_name = {watch.handle.name: watch for watch in watches.values()}
        # One that is not yet recorded as started stays told until it is.
        self._told &= by_name.keys()
        due = [by_name[name] for name in self._told if by_name[name].phase is Phase.RUNNING]
        self._told -= {watch.handle.name for watch in due}
        self._calls.submit_each(due, self._look, self._on_looked, together=LOOK_TOGETHER)

    def _look(self, watch: Watch) -> Observation | None:
        return next(iter(self._executor.observe([watch.handle])), None)

    def _on_looked(self, watch: Watch, seen: Observation | None, error: Exception | None) -> None:
        # Neither an error nor an absence proves anything here: the next look at all judges them.
        self._is_told_in_time = seen is not None and seen.state is ExecutionState.EXITED
        if not self._is_told_in_time:
            self.hurry()
        elif seen is not None and watch.phase is Phase.RUNNING:
            self._end(watch, seen)

    @property
    def next_look(self) -> float:
        return self._next

    def _on_observed(
        self, seen: list[Observation] | None, error: Exception | None, watches: Mapping[UUID, Watch], asked: float
    ) -> None:
        self._is_asking = False
        self._interval = min(self._interval * 1.3, float(conf.get("POLL_INTERVAL")))
        self._next = time.monotonic() + self._interval
        if seen is None:
            self._monitor.note(error)
            logger.warning("cannot observe %s: %s", self._monitor.host, error, extra={"host": self._monitor.host.name})
            return
        by_name = {observation.handle.name: observation for observation in seen}
        for watch in watches.values():
            # What was started after the question may rightly be missing from the answer.
            if watch.phase is Phase.RUNNING and watch.since < asked:
                self._compare(watch, by_name.get(watch.handle.name), asked)

    def _compare(self, watch: Watch, seen: Observation | None, asked: float) -> None:
        if seen is None:
            self._missing(watch, asked)
            return
        watch.missing_since = None
        watch.seen = seen
        if seen.state is ExecutionState.EXITED:
            self._is_told_in_time = False
            self._end(watch, seen)

    def _end(self, watch: Watch, seen: Observation) -> None:
        watch.seen, watch.phase = seen, Phase.ENDED

    def _missing(self, watch: Watch, asked: float) -> None:
        if not self._monitor.is_healthy:
            watch.missing_since = None
            return
        if watch.missing_since is None:
            watch.missing_since = asked
        long_enough = watch.missing_since + conf.get("MISSING_GRACE_SECONDS")
        if asked < long_enough:
            return
        if self._monitor.verified_at < long_enough:
            # Another engine may answer at the address by now, which knows none of ours.
            self._monitor.verify()
        else:
            claim = watch.claim
            watch.seen = Observation(
                handle=watch.handle, installation="", job_id=claim.job.pk, attempt=claim.number,
                state=ExecutionState.EXITED, reason=Outcome.LOST,
                error="Its engine does not know it any more, and its end was not seen.",
            )  # fmt: skip
            watch.phase = Phase.ENDED
