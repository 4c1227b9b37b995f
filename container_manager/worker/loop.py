"""The worker: one loop over its hosts."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from django.db import close_old_connections, connections, reset_queries
from uuid_utils.compat import uuid7

from container_manager import batches, conf, due
from container_manager.handlers import delivery
from container_manager.models import ContainerJob, Installation, JobAttempt
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import ACTIVE, Hold, Status
from container_manager.worker import handover, heartbeat, unreachable
from container_manager.worker.agenda import AgendaReader
from container_manager.worker.claimer import Claimer
from container_manager.worker.connections import OUTAGES, prepare_connections
from container_manager.worker.deliveries import Deliveries
from container_manager.worker.fleet import Fleet
from container_manager.worker.listener import Listener
from container_manager.worker.options import WorkerOptions
from container_manager.worker.output_moves import OutputMoves
from container_manager.worker.pace import QUICKEST, Pace
from container_manager.worker.retention import BATCH, Retention
from container_manager.worker.rollup import Rollup
from container_manager.worker.stray_inputs import StrayInputs
from container_manager.worker.unserved import tell_of_unserved_queues

logger = logging.getLogger(__name__)

HOSTS_INTERVAL: Final = 10.0
STOPS_INTERVAL: Final = 1.0
RESCUE_INTERVAL: Final = 2.0
RETENTION_INTERVAL: Final = 60.0
ROLLUP_INTERVAL: Final = 2.0
OUTPUT_INTERVAL: Final = 0.25
UNSERVED_INTERVAL: Final = 60.0
WAITING: Final = (Hold.NONE, Hold.SCHEDULE, Hold.BACKOFF, Hold.LIMIT)
LISTENING_FACTOR: Final = 5
"""An idle worker that hears of jobs looks that much more seldom: ``POLL_INTERVAL`` is for those that do not."""
WORTH_A_LOOK: Final = 0.5
"""So much of its concurrency is free before a busy worker looks again at once: what it claims together costs less."""
LONGEST_SLEEP: Final = 0.5
BUSY_SLEEP: Final = 0.02


class WorkerLoop:
    """
    Claims, launches, watches and finishes jobs on the hosts its node reaches, until stopped or drained.

    Only this thread and the heartbeat's touch the database. An outage of either side is waited
    out: nothing is forgotten, and no running job is stopped because of it.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self.options = options
        self.id = uuid7()
        self.using = JobQuerySet(ContainerJob).write_alias
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._due: dict[str, float] = {}
        self._heartbeat = heartbeat.Heartbeat(self.id, options, self.using)
        self._retention = Retention(self.using)
        self._rollup = Rollup(self.using)
        self._output_moves = OutputMoves(self.using)
        self._deliveries = Deliveries(self.id, self.using, self._wake)
        self._listener = Listener(self.id, self.using, self._wake)
        self._pace = Pace()
        self._are_attempts_open = True

    def request_stop(self) -> None:
        """Ends the loop soon: no more claims, unstarted ones given back, running jobs handed over. Signal-safe."""
        self._stopping.set()
        self._wake.set()

    def run(self) -> None:
        """Works until stopped, or until nothing is left with ``drain``. The worker's row exists meanwhile."""
        prepare_connections(self.using)
        self.installation = Installation.current(self.using)
        self._is_in_place = self.installation.is_in_place(self.using)
        if not self._is_in_place:
            logger.error(
                "This database is a copy of another installation's: nothing is claimed, rescued or swept until you "
                "say which of the two this is ('manage.py containers installation --original' or '--copy') and "
                "restart the worker."
            )
        self._fleet = Fleet(self.id, self.installation.identifier, self.options, self.using, self._wake)
        self._claimer = Claimer(self._fleet, AgendaReader(self.using), self.using, self.options.concurrency)
        heartbeat.register(self.id, self.options, self.using)
        self._heartbeat.start()
        self._rollup.open()
        if not self.options.drain:
            self._listener.start()
        self._stray_inputs = StrayInputs(self.installation.identifier, self.using)
        logger.info("worker %s on %s", self.id, self.options.node, extra={"worker": str(self.id)})
        try:
            self._work()
        finally:
            self._listener.close()
            self._close_deliveries()
            self._heartbeat.stop()
            handover.leave(self._fleet.runners, self.id, self.using)
            self._rollup.close()
            self._stray_inputs.close()
            self._output_moves.close()

    def _work(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                close_old_connections()
                reset_queries()  # kept under DEBUG, for a request that never ends here
                moved = self._tick()
                failures = 0
                if self.options.drain and not moved and (not self._is_in_place or self._is_drained()):
                    return
            except OUTAGES as error:
                logger.warning("the database does not answer, trying again: %s", error, extra={"worker": str(self.id)})
                failures, moved = failures + 1, False
                self._back_off(failures)
            except Exception:
                # The loop's edge: what nobody foresaw must not end the jobs that are watched.
                logger.exception("unforeseen error", extra={"worker": str(self.id)})
                failures, moved = failures + 1, False
                self._back_off(failures)
            self._heartbeat.tick()
            if not moved:
                self._wake.wait(self._pause())
            self._wake.clear()

    def _back_off(self, failures: int) -> None:
        connections[self.using].close()
        self._stopping.wait(min(5.0, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))  # noqa: S311

    def _tick(self) -> bool:
        self._every("hosts", HOSTS_INTERVAL, self._refresh)
        moved = bool(self._deliveries.tick())
        if moved:
            self._pace.hurry()
        is_trusted = self._heartbeat.is_trusted
        moved |= self._fleet.tick(may_start=is_trusted)
        if self._listener.take_stops():
            self._due["stops"] = 0.0
        if self._fleet.in_hand:
            self._every("stops", STOPS_INTERVAL, self._fleet.enforce_stops)
        if is_trusted:
            moved |= self._tick_queue(moved=moved)
        self._every("output", OUTPUT_INTERVAL, self._output_moves.tick)
        self._every("rollup", ROLLUP_INTERVAL, self._rollup.flush)
        self._every("retention", RETENTION_INTERVAL, self._prune)
        self._every("health", 5.0, self._touch_health_file)
        return moved

    def _tick_queue(self, *, moved: bool) -> bool:
        """What only a worker may do that others see alive; true = there may be more of it now."""
        self._hear(moved=moved)
        has_promoted = self._look(moved=moved) if self._pace.is_due else False
        if not self._is_in_place:
            return has_promoted
        if self._are_attempts_open or self._fleet.in_hand:
            self._every("rescue", RESCUE_INTERVAL, lambda: self._fleet.rescue(may_judge=self._heartbeat.may_judge))
        if self._heartbeat.steady_seconds >= conf.get("HOST_TIMEOUT"):
            self._every("unreachable", HOSTS_INTERVAL, lambda: unreachable.give_up_unreachable(self.id, self.using))
        self._fleet.sweep()
        self._every("unserved", UNSERVED_INTERVAL, lambda: tell_of_unserved_queues(self.using))
        return has_promoted

    def _hear(self, *, moved: bool) -> None:
        free = self._claimer.free
        has_heard = self._listener.take_arrivals(self._fleet.queues)
        if moved and free >= self.options.concurrency * WORTH_A_LOOK:
            self._pace.hurry()
        elif free > 0 and (moved or has_heard):
            self._pace.told()
        elif moved:
            # Nothing can be claimed, but handlers may be owed a call.
            self._pace.told(gap=QUICKEST)

    def _look(self, *, moved: bool) -> bool:
        """What the agenda says is done; true = jobs became ready that it does not know of."""
        agenda = self._claimer.read_agenda()
        self._are_attempts_open = agenda.is_attempt_open
        is_idle = not self._fleet.in_hand and self._deliveries.is_idle
        longest = self.options.poll_interval * (LISTENING_FACTOR if is_idle and self._listener.is_listening else 1)
        promoted = self._promote() if agenda.is_promotion_due else 0
        done = promoted
        if agenda.is_expiry_due:
            done += due.expire(self.using)
        if self._is_in_place:
            done += self._claimer.claim(agenda)
            if agenda.is_batch_ended:
                done += batches.complete_ended(self.using)
            if agenda.is_call_due or agenda.is_batch_ended:
                done += self._deliveries.take()
        self._pace.looked(found=moved or done > 0, longest=longest, next_due=agenda.next_due_seconds)
        if promoted:
            self._pace.hurry()
        return promoted > 0

    def _every(self, what: str, seconds: float, do: Callable[[], object]) -> None:
        now = time.monotonic()
        if now >= self._due.get(what, 0.0):
            self._due[what] = now + seconds
            do()

    def _pause(self) -> float:
        looks = self._fleet.next_looks
        if self._heartbeat.is_trusted:
            looks.append(self._pace.next_look)
        now = time.monotonic()
        return max(BUSY_SLEEP, min([now + LONGEST_SLEEP, *looks]) - now)

    def _refresh(self) -> None:
        self._fleet.refresh()
        self._heartbeat.serve(self._fleet.host_ids)

    def _promote(self) -> int:
        total = promoted = due.promote(self.using)
        while promoted == due.AT_ONCE:
            self._heartbeat.tick()
            promoted = due.promote(self.using)
            total += promoted
        return total

    def _close_deliveries(self) -> None:
        try:
            self._deliveries.close()
        except OUTAGES as error:
            logger.warning("handlers' ends were not written, they are called again: %s", error)

    def _is_drained(self) -> bool:
        if not self._fleet.is_at_rest:
            return False
        waiting = ContainerJob.objects.using(self.using).filter(
            queue__in=self._fleet.queues, status=Status.QUEUED, hold__in=WAITING
        )
        active = JobAttempt.objects.using(self.using).filter(
            host__in=self._fleet.host_ids, active_job__status__in=ACTIVE
        )
        if waiting.exists() or active.exists() or batches.complete_ended(self.using):
            return False
        if not self._deliveries.is_idle or (self._is_in_place and delivery.has_due(self.using)):
            return False
        return not self._output_moves.tick()

    def _prune(self) -> None:
        heartbeat.clear_dead_workers(self.using)
        self._rollup.prune()
        if self._is_in_place:
            self._stray_inputs.tick()
        if any(count >= BATCH for count in self._retention.prune_some().values()):
            self._due["retention"] = time.monotonic() + 1.0

    def _touch_health_file(self) -> None:
        if self.options.health_file:
            Path(self.options.health_file).touch()
