"""What a host has left: slots always, CPU and memory where it declares them; and what it lets a job ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connections

from container_manager.executors.limits import UNITS, refusals
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt

_USED: Final = (
    "SELECT COUNT(*), SUM(cpu_limit), SUM(memory_limit) "  # noqa: S608 - our own name
    f"FROM {JobAttempt._meta.db_table} WHERE host_id = %s AND active_job_id IS NOT NULL"
)
"""Asked in every claim: to compile it each time costs more than the answer."""


@dataclass(slots=True)
class Room:
    """Free slots, cores and MiB; ``None`` = not counted on this host."""

    slots: int
    cpu: float | None
    memory: int | None
    options: Mapping[str, Any] = field(default_factory=dict)
    """The host's, whose maxima a job must not ask to pass."""

    @classmethod
    def on(cls, host: ExecutorHost, using: str) -> Room:
        """
        What the open attempts leave free. Exact only under the host row's lock.

        Counted from the attempts each time: no counter column that could drift.
        """
        with connections[using].cursor() as cursor:
            cursor.execute(_USED, [host.pk])
            count, cpu, memory = cursor.fetchone()
        return cls(
            slots=host.max_concurrent_jobs - count,
            cpu=None if host.cpu_capacity is None else host.cpu_capacity - (cpu or 0.0),
            memory=None if host.memory_capacity is None else host.memory_capacity - int(memory or 0),
            options=host.options,
        )

    @property
    def counts_resources(self) -> bool:
        return self.cpu is not None or self.memory is not None or any(f"max_{name}" in self.options for name in UNITS)

    def fits(self, job: ContainerJob) -> bool:
        return (
            self.slots > 0
            and (self.cpu is None or (job.cpu_limit or 0.0) <= self.cpu + 1e-9)
            and (self.memory is None or (job.memory_limit or 0) <= self.memory)
            and not above_maximum(job, self.options)
        )

    def take(self, job: ContainerJob) -> None:
        self.slots -= 1
        if self.cpu is not None:
            self.cpu -= job.cpu_limit or 0.0
        if self.memory is not None:
            self.memory -= job.memory_limit or 0


def above_maximum(job: ContainerJob, options: Mapping[str, Any]) -> dict[str, str]:
    """For each limit of ``job`` that a host with ``options`` refuses: what is wrong."""
    return refusals({name: getattr(job, name) for name in UNITS}, options)


def could_ever_fit(host: ExecutorHost, job: ContainerJob) -> bool:
    """Whether ``host``, empty, would take ``job``."""
    return Room(host.max_concurrent_jobs, host.cpu_capacity, host.memory_capacity, host.options).fits(job)
