"""The hosts that a worker serves, each with what looks after it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from uuid import UUID

from container_manager import conf, hosts
from container_manager.exceptions import ConfigurationError
from container_manager.models import ExecutorHost
from container_manager.states import StopReason
from container_manager.worker.connections import OUTAGES
from container_manager.worker.host_runner import HostRunner
from container_manager.worker.options import WorkerOptions
from container_manager.worker.rescue import Rescuer
from container_manager.worker.stops import requested_stops
from container_manager.worker.sweep import Sweep

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Served:
    runner: HostRunner
    rescuer: Rescuer
    sweep: Sweep


class Fleet:
    """Which hosts those are is read from the database by ``refresh``; a host that is gone is kept while it has jobs."""

    def __init__(
        self, worker: UUID, installation: str, options: WorkerOptions, using: str, wake: threading.Event
    ) -> None:
        self._worker, self._installation, self._options = worker, installation, options
        self._using, self._wake = using, wake
        self._served: dict[int, _Served] = {}

    @property
    def runners(self) -> list[HostRunner]:
        return [served.runner for served in self._served.values()]

    @property
    def host_ids(self) -> list[int]:
        return sorted(self._served)

    @property
    def in_hand(self) -> int:
        """Jobs that are launched or watched."""
        return sum(len(runner.watches) for runner in self.runners)

    @property
    def queues(self) -> list[str]:
        """Those that the hosts serve and the worker was not told to leave."""
        served = {queue for runner in self.runners for queue in runner.host.served_queues}
        return sorted(queue for queue in served if not self._options.queues or queue in self._options.queues)

    @property
    def next_looks(self) -> list[float]:
        """When a host with jobs is to be looked at again, by the monotonic clock."""
        return [runner.observer.next_look for runner in self.runners if runner.watches]

    @property
    def is_at_rest(self) -> bool:
        """Nothing is in hand or being removed, and every host has said whether it is healthy."""
        return all(not runner.watches and not runner.removing and runner.monitor.is_known for runner in self.runners)

    def refresh(self) -> None:
        """New hosts are served, changed ones as they are now, and those that are gone no more."""
        rows = {row.pk: row for row in hosts.reachable_hosts(self._using, self._options.node, self._options.hosts)}
        if not rows:
            logger.error("no host to serve on node %s. %s", self._options.node, hosts.HOW_TO_ADD_A_HOST)
        for pk, row in rows.items():
            served = self._served.get(pk)
            if served is None:
                self._open(row)
                continue
            host = served.runner.host
            if (host.executor_type, host.options) == (row.executor_type, row.options):
                engine_id = row.engine_id
                host.__dict__.update(
                    {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
                )
                host.engine_id = engine_id
            elif not served.runner.watches:
                self._served.pop(pk).runner.close()
                self._open(row)
        for pk in [pk for pk, served in self._served.items() if pk not in rows and not served.runner.watches]:
            self._served.pop(pk).runner.close()

    def tick(self, *, may_start: bool) -> bool:
        """Each host's jobs are a step further; true = something moved. One host's trouble is not the others'."""
        moved = False
        for runner in self.runners:
            runner.monitor.tick()
            try:
                moved |= runner.tick(may_start=may_start)
            except OUTAGES:
                raise
            except Exception:
                logger.exception("unforeseen error on host %s", runner.host, extra={"host": runner.host.name})
        return moved

    def rescue(self, *, may_judge: bool) -> None:
        for served in self._served.values():
            served.rescuer.tick(may_judge=may_judge)

    def sweep(self) -> None:
        for served in self._served.values():
            served.sweep.tick()

    def enforce_stops(self) -> None:
        """Jobs in hand that were cancelled, or whose time is up, are told to stop. One query."""
        watches = {pk: (runner, watch) for runner in self.runners for pk, watch in runner.watches.items()}
        grace = conf.get("STOP_GRACE_SECONDS")
        for attempt_id, reason in requested_stops(self._worker, self._using):
            if attempt_id in watches:
                runner, watch = watches[attempt_id]
                runner.stop(watch, StopReason(reason), grace)

    def _open(self, host: ExecutorHost) -> None:
        try:
            runner = HostRunner(
                host, self._worker, self._installation, self._using, self._wake, self._options.start_concurrency
            )
        except ConfigurationError as error:
            logger.error("host %s cannot be used: %s", host, error, extra={"host": host.name})
            ExecutorHost.objects.using(self._using).filter(pk=host.pk).update(health_error=str(error))
            return
        self._served[host.pk] = _Served(
            runner,
            Rescuer(runner, self._worker, self._using),
            Sweep(runner.executor, runner.calls, runner.monitor, self._using),
        )
