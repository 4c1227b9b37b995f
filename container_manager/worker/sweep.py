"""Executions of this installation that no open attempt accounts for: stopped and removed, after a grace."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from container_manager import conf
from container_manager.executors import Executor
from container_manager.models import JobAttempt
from container_manager.specs import ExecutionState, Observation
from container_manager.worker.calls import Calls
from container_manager.worker.health import HostMonitor

logger = logging.getLogger(__name__)

SWEEP_INTERVAL: Final = 60.0
STOP_GRACE_SECONDS: Final = 10.0


def orphans(seen: Sequence[Observation], using: str) -> list[Observation]:
    """Those of ``seen``, an answer that came before this call, without an open attempt in the database."""
    jobs = {observation.job_id for observation in seen}
    active = JobAttempt.objects.using(using).filter(active_job__in=jobs).values_list("job_id", "number")
    accounted = set(active)
    return [observation for observation in seen if (observation.job_id, observation.attempt) not in accounted]


def remove_orphan(executor: Executor, orphan: Observation) -> None:
    """``orphan`` is stopped if it runs, and removed once it has ended."""
    if orphan.state is ExecutionState.RUNNING:
        executor.stop(orphan.handle, STOP_GRACE_SECONDS)
    else:
        executor.remove(orphan.handle)


class Sweep:
    """
    Lists the engine first, then the attempts; what was an orphan at every look for the grace is removed.

    Only executions with this installation's label are ever seen here.
    """

    def __init__(self, executor: Executor, calls: Calls, monitor: HostMonitor, using: str) -> None:
        self._executor, self._calls, self._monitor, self._using = executor, calls, monitor, using
        self._since: dict[str, float] = {}
        self._next = time.monotonic() + self._interval
        self._is_asking = False

    @property
    def _interval(self) -> float:
        return min(SWEEP_INTERVAL, float(conf.get("ORPHAN_GRACE_SECONDS")))

    def tick(self) -> None:
        if self._is_asking or time.monotonic() < self._next or not self._monitor.is_healthy:
            return
        self._is_asking = True
        self._next = time.monotonic() + self._interval
        self._calls.submit(self._on_observed, self._executor.observe, None)

    def _on_observed(self, seen: list[Observation] | None, error: Exception | None) -> None:
        self._is_asking = False
        if seen is None:
            self._monitor.note(error)
            return
        now = time.monotonic()
        found = orphans(seen, self._using)
        self._since = {orphan.handle.name: self._since.get(orphan.handle.name, now) for orphan in found}
        for orphan in found:
            if now - self._since[orphan.handle.name] >= conf.get("ORPHAN_GRACE_SECONDS"):
                logger.warning("removing the orphan %s (%s)", orphan.handle.name, orphan.state.value)
                self._calls.submit(self._on_removed, remove_orphan, self._executor, orphan)

    def _on_removed(self, _: object, error: Exception | None) -> None:
        if error is not None:
            logger.warning("an orphan was not removed: %s", error)
