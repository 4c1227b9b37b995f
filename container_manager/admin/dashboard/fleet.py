"""Hosts and workers: who is well, and how much each has in hand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Sum
from django.utils.translation import gettext as _

from container_manager.models import ExecutorHost, JobAttempt, Worker


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of ``most`` is in use; ``None`` = it is not bounded."""

    used: float
    most: float | None

    @property
    def percent(self) -> float:
        return min(100.0, 100.0 * self.used / self.most) if self.most else 0.0

    @property
    def is_full(self) -> bool:
        return self.most is not None and self.used >= self.most


@dataclass(frozen=True, slots=True)
class HostState:
    """A host with its load, and its health as a word and a tone."""

    host: ExecutorHost
    slots: Capacity
    cpu: Capacity
    memory: Capacity
    workers: int

    @property
    def tone(self) -> str:
        if self.host.health_error:
            return "bad"
        if not self.host.is_active:
            return "off"
        return "good" if self.host.engine_id and self.workers else "warn"

    @property
    def health(self) -> str:
        if self.host.health_error:
            return _("Down")
        if not self.host.is_active:
            return _("Drained")
        if not self.workers:
            return _("No worker")
        return _("Healthy") if self.host.engine_id else _("Not reached yet")


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker, whether it beats, and what it has in hand."""

    worker: Worker
    is_alive: bool
    slots: Capacity
    hosts: Collection[str]

    @property
    def tone(self) -> str:
        return "good" if self.is_alive else "bad"

    @property
    def health(self) -> str:
        return _("Alive") if self.is_alive else _("Stopped beating")


def host_states(using: str) -> list[HostState]:
    """All hosts by name, in three queries."""
    rows = JobAttempt.objects.using(using).filter(active_job__isnull=False).order_by().values("host")
    loads: dict[int, dict[str, Any]] = {
        row["host"]: dict(row)
        for row in rows.annotate(count=Count("pk"), cpu=Sum("cpu_limit"), memory=Sum("memory_limit"))
    }
    served = [pk for hosts in _alive(using).values_list("hosts", flat=True) for pk in hosts]
    states = []
    for host in ExecutorHost.objects.using(using).all():
        load = loads.get(host.pk, {})
        states.append(
            HostState(
                host,
                Capacity(load.get("count") or 0, host.max_concurrent_jobs),
                Capacity(load.get("cpu") or 0.0, host.cpu_capacity),
                Capacity(load.get("memory") or 0, host.memory_capacity),
                served.count(host.pk),
            )
        )
    return states


def worker_states(using: str) -> list[WorkerState]:
    """All workers, and processes that call ``launch_job``; in four queries."""
    alive = set(Worker.objects.using(using).alive().values_list("pk", flat=True))
    rows = JobAttempt.objects.using(using).filter(active_job__isnull=False, worker__isnull=False).order_by()
    in_hand: dict[UUID | None, int] = dict(rows.values_list("worker").annotate(count=Count("pk")))
    names = dict(ExecutorHost.objects.using(using).values_list("pk", "name"))
    return [
        WorkerState(
            worker,
            worker.pk in alive,
            Capacity(in_hand.get(worker.pk, 0), worker.concurrency),
            [names[pk] for pk in worker.hosts if pk in names],
        )
        for worker in Worker.objects.using(using).all()
    ]


def _alive(using: str) -> Any:
    return Worker.objects.using(using).alive().filter(kind=Worker.Kind.WORKER)
