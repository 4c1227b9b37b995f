"""One host in a worker's hands: its claims created, confirmed, started, recorded, watched and finished."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from container_manager import claiming, conf, services
from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors import Executor
from container_manager.models import ExecutorHost
from container_manager.ownership import Claim
from container_manager.services import finishing, inputs, launching, recording
from container_manager.services.executions import handle_of
from container_manager.services.launching import LaunchResult
from container_manager.services.output import OutputWriter
from container_manager.specs import Handle
from container_manager.states import StopReason
from container_manager.worker.calls import Calls
from container_manager.worker.collector import Collector
from container_manager.worker.ends import EndListener
from container_manager.worker.harvest import Harvester
from container_manager.worker.health import HostMonitor
from container_manager.worker.observer import Observer
from container_manager.worker.pulls import PullNotes
from container_manager.worker.usage import UsageSampler
from container_manager.worker.waiting_notes import WaitingNotes
from container_manager.worker.watch import Phase, Watch

logger = logging.getLogger(__name__)

REMOVE_TOGETHER: Final = 16
"""So many ended executions are removed in one go."""
SETTLE_INTERVAL: Final = 2.0
"""Seconds between questions about a start of unknown end."""


class HostRunner:
    """
    Everything between a worker and one host. All methods run in the worker's thread.

    ``watches`` is the worker's memory of its attempts; the rows are the truth, and every
    write is a compare-and-set. Nothing is dropped from a list before its row is written, so a
    database outage delays and loses nothing.
    """

    def __init__(
        self, host: ExecutorHost, worker: UUID, installation: str, using: str, wake: threading.Event, threads: int
    ) -> None:
        self.host, self.worker, self.installation, self.using = host, worker, installation, using
        self.executor: Executor = services.executor_for(host, installation)
        self._threads = threads
        self.launches = Calls(f"launch-{host.name}", threads, wake)
        self.calls = Calls(f"host-{host.name}", 4, wake)
        self.watches: dict[UUID, Watch] = {}
        self.removing = 0  # removals asked of the engine and not answered yet
        self.monitor = HostMonitor(host, self.executor, self.calls, using)
        self.collector = Collector(self.executor, self.calls, worker, using)
        self.sampler = UsageSampler(self.executor, self.calls, worker, using)
        self.ends = EndListener(self.executor, host.name, wake)
        self.observer = Observer(self.executor, self.calls, self.monitor, self.ends)
        self.harvester = Harvester(host.name, self.executor, wake, using)
        self.pulls = PullNotes(self.executor, worker, using)
        self._waiting_notes = WaitingNotes(worker, using)
        self._created: list[Watch] = []
        self._started: list[tuple[Watch, str]] = []
        self._failed: list[tuple[Watch, LaunchResult]] = []
        self._unsettled: list[tuple[Watch, LaunchResult, float]] = []

    def claim(self, queue: str, limit: int) -> int:
        """Up to ``limit`` ready jobs of ``queue`` are claimed and being created; returns how many."""
        claims = claiming.claim(self.host, self.worker, queue=queue, limit=limit, using=self.using)
        watches = []
        for claim in claims:
            output = OutputWriter(claim.attempt_id)
            watches.append(Watch(claim, self.handle_of(claim), output=output, since=time.monotonic()))
        self.watches |= {watch.claim.attempt_id: watch for watch in watches}
        self.launches.submit_each(watches, self._create, self._on_created, together=self._together(len(watches)))
        return len(claims)

    def _create(self, watch: Watch) -> Handle:
        return launching.create(watch.claim, self.executor, self.installation)

    def _start(self, watch: Watch) -> LaunchResult:
        return launching.start(self.executor, watch.handle, engine_id=self.host.engine_id)

    def _together(self, count: int) -> int:
        """How many launches share a thread: where an image may have to be pulled, none may wait for another's."""
        return 1 if self.executor.supports_images else max(1, -(-count // self._threads))

    def handle_of(self, claim: Claim) -> Handle:
        return handle_of(claim, self.installation)

    def adopt(self, claim: Claim) -> Watch:
        """A running attempt that was taken over is watched from here on."""
        watch = Watch(claim, self.handle_of(claim), phase=Phase.RUNNING, since=time.monotonic())
        self.watches[claim.attempt_id] = watch
        return watch

    def tick(self, *, may_start: bool) -> bool:
        """One round over everything that is in; true = something moved."""
        # Before the answers, which end the waiting: a quick pull is noted too.
        self.pulls.tick(self.watches.values())
        moved = self.launches.deliver() + self.calls.deliver()
        if may_start:
            self._confirm_and_start()
        self._record_started()
        self._record_failed()
        self._ask_unsettled()
        self.observer.tick(self.watches)
        self._waiting_notes.tick(self.watches.values())
        self.collector.tick(self.watches.values())
        if not self.monitor.is_down:
            self.sampler.tick(self.watches.values())
        moved += self._finish()
        return bool(moved)

    def stop(self, watch: Watch, reason: StopReason, grace_seconds: float) -> None:
        """The end of ``watch`` is asked for: written down first, then signalled; asked again until it is sent."""
        if watch.phase is not Phase.RUNNING or watch.stop_sent:
            return
        if not watch.killed_by:
            killed_at = recording.request_stop(watch.claim, reason, self.using)
            if killed_at is None:
                self.drop(watch, "another worker owns it")
                return
            watch.killed_by, watch.killed_at = reason, killed_at
        watch.stop_sent = True
        self.calls.submit(partial(self._on_stopped, watch), self.executor.stop, watch.handle, grace_seconds)

    def drop(self, watch: Watch, reason: str) -> None:
        """The attempt is somebody else's now: its container is not touched."""
        logger.info("letting go of %s: %s", watch.handle.name, reason, extra={"job": str(watch.claim.job.pk)})
        self.watches.pop(watch.claim.attempt_id, None)

    def unstarted(self) -> list[Watch]:
        """Attempts whose start has not been asked for."""
        return [watch for watch in self.watches.values() if watch.phase in (Phase.CREATING, Phase.CREATED)]

    @property
    def is_settled(self) -> bool:
        """No launch is under way."""
        return not any(w.phase in (Phase.CREATING, Phase.STARTING) for w in self.watches.values()) and not self._started

    def give_back(self) -> None:
        """Created but unstarted attempts are removed and their jobs ready again, at no cost."""
        self._created.clear()
        for watch in self.unstarted():
            self.executor.remove(watch.handle)
            recording.release(watch.claim, self.using, reason="The worker stopped before the start.")
            self.watches.pop(watch.claim.attempt_id)

    def close(self) -> None:
        self.pulls.close()
        self.ends.close()
        self.launches.close()
        self.calls.close()
        self.harvester.close()

    def _on_created(self, watch: Watch, handle: Handle | None, error: Exception | None) -> None:
        if handle is None:
            self._failed.append((watch, LaunchResult.from_error(error or RuntimeError("no handle"))))
            self.monitor.note(error)
            return
        watch.handle, watch.phase = handle, Phase.CREATED
        self._created.append(watch)

    def _confirm_and_start(self) -> None:
        if not self._created:
            return
        inputs.record([watch.claim for watch in self._created], self.using)
        confirmed = launching.confirm([watch.claim for watch in self._created], self.using)
        batch, self._created = self._created, []
        ready = [watch for watch in batch if watch.claim.attempt_id in confirmed]
        for watch in ready:
            watch.phase = Phase.STARTING
        self.launches.submit_each(ready, self._start, self._on_started, together=self._together(len(ready)))
        refused = LaunchResult(success=False, error="Cancelled, or taken over, before its start.")
        self._failed += [(watch, refused) for watch in batch if watch.claim.attempt_id not in confirmed]

    def _on_started(self, watch: Watch, result: LaunchResult | None, error: Exception | None) -> None:
        if result is None:
            # The executor raised what its interface does not allow: whether it runs is not known.
            result = LaunchResult(success=False, error=f"{type(error).__name__}: {error}", is_unsettled=True)
        if result.success:
            self._started.append((watch, result.execution_id))
        elif result.is_unsettled:
            watch.phase = Phase.UNSETTLED
            self._unsettled.append((watch, result, time.monotonic() + SETTLE_INTERVAL))
            self.monitor.note(ExecutorUnavailableError(result.error))
        else:
            self._failed.append((watch, result))

    def _ask_unsettled(self) -> None:
        now = time.monotonic()
        due = [entry for entry in self._unsettled if entry[2] <= now]
        if not due or self.monitor.is_down:
            return
        self._unsettled = [entry for entry in self._unsettled if entry[2] > now]
        for watch, failure, _ in due:
            ask = partial(launching.settle, self.executor, watch.handle, failure, engine_id=self.host.engine_id)
            self.calls.submit(partial(self._on_started, watch), ask)

    def _record_started(self) -> None:
        if not self._started:
            return
        claims = [(watch.claim, execution_id) for watch, execution_id in self._started]
        recorded = recording.record_started(claims, self.using, owner=self.worker)
        batch, self._started = self._started, []
        now = time.monotonic()
        for watch, _ in batch:
            if watch.claim.attempt_id in recorded:
                watch.phase, watch.since = Phase.RUNNING, now
            else:
                self.drop(watch, "its claim no longer stands")
        self.observer.hurry()

    def _record_failed(self) -> None:
        while self._failed:
            watch, result = self._failed[0]
            if recording.is_cancelled(watch.claim, self.using):
                recording.record_cancelled_before_start(watch.claim, self.using)
                self._remove([watch])
            elif self._is_the_hosts_fault(watch, result):
                self.monitor.note(ExecutorUnavailableError(result.error))
                recording.release(watch.claim, self.using, reason=result.error, is_rescue=True)
            else:
                recording.record_launch_failure(watch.claim, result, self.using)
            self._failed.pop(0)
            self.watches.pop(watch.claim.attempt_id, None)

    def _is_the_hosts_fault(self, watch: Watch, result: LaunchResult) -> bool:
        """Then no retry is spent; bounded, since an engine that is well may never manage this one job."""
        return result.is_silence and watch.claim.job.rescue_count < conf.get("MAX_RESCUES")

    def _on_stopped(self, watch: Watch, _: object, error: Exception | None) -> None:
        if error is not None:
            watch.stop_sent = False
            self.monitor.note(error)
        self.observer.hurry()

    def _finish(self) -> int:
        endings = self.harvester.ready(self.collector.endings())
        if not endings:
            return 0
        finished = finishing.finish([ending for _, ending in endings], self.using)
        self.collector.forget(endings)
        self.harvester.forget(endings)
        for watch, _ in endings:
            if watch.claim.attempt_id not in finished:
                self.drop(watch, "another worker owns it")
        self._remove([watch for watch, ending in endings if watch.claim.attempt_id in finished])
        return len(endings)

    def _remove(self, watches: Sequence[Watch]) -> None:
        for watch in watches:
            self.watches.pop(watch.claim.attempt_id, None)
        self.removing += len(watches)
        self.calls.submit_each(
            [watch.handle for watch in watches], self.executor.remove, self._on_removed, together=REMOVE_TOGETHER
        )

    def _on_removed(self, handle: Handle, _: object, error: Exception | None) -> None:
        self.removing -= 1
        if error is not None:
            # The sweep removes it later.
            logger.warning("not removed: %s: %s", handle.name, error)
