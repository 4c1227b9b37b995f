"""The queues: how many jobs are ready in each, and since when the oldest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count
from django.utils.translation import ngettext

from container_manager.admin.dashboard.history import by_queue
from container_manager.admin.dashboard.sparkline import Sparkline
from container_manager.admin.dashboard.states import MOST, capped
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.models.job_queryset import JobQuerySet
from container_manager.sql.indexes import Literal
from container_manager.states import ACTIVE, Hold, Status

PRIORITIES: Final = 8
"""Looked at in a queue, the highest first."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The ready jobs of a queue. ``oldest`` has waited since ``since``, the moment from which it could run."""

    queue: str
    count: int
    oldest: ContainerJob
    since: datetime

    @property
    def depth(self) -> str:
        return capped(self.count)


@dataclass(frozen=True, slots=True)
class Queue:
    name: str
    waiting: Waiting | None
    active: int
    hosts: Sequence[str]
    ended: int
    line: Sparkline


def waiting(using: str) -> list[Waiting]:
    """
    Of each queue that has ready jobs. Steps along the ready index, so that a million of them cost no more than ten.

    A job is ready from the later of ``queued_at`` and ``scheduled_for``; the oldest is the first of its priority.
    """
    ready = JobQuerySet(ContainerJob, using=using).filter(status=Literal(Status.QUEUED), hold=Literal(Hold.NONE))
    return list(_walk(ready))


def _walk(ready: JobQuerySet) -> Iterator[Waiting]:
    name = ready.order_by("queue").values_list("queue", flat=True).first()
    while name is not None:
        of_queue = ready.filter(queue=name)
        first = list(_first_of_each_priority(of_queue))
        if first:
            oldest = min(first, key=_could_run_since)
            count = of_queue.order_by().values("pk")[: MOST + 1].count()
            yield Waiting(name, count, oldest, _could_run_since(oldest))
        name = ready.filter(queue__gt=name).order_by("queue").values_list("queue", flat=True).first()


def _first_of_each_priority(of_queue: JobQuerySet) -> Iterator[ContainerJob]:
    job = of_queue.in_order().first()
    for _ in range(PRIORITIES):
        if job is None:
            return
        yield job
        job = of_queue.filter(priority__lt=job.priority).in_order().first()


def _could_run_since(job: ContainerJob) -> datetime:
    since = job.queued_at or job.created_at
    return max(since, job.scheduled_for or since)


def queues(using: str, now: datetime) -> list[Queue]:
    """Those that hosts serve, that have jobs, or that had some in the last hour; by name."""
    ready = {row.queue: row for row in waiting(using)}
    active = _active(using)
    ended = by_queue(using, now)
    hosts = list(ExecutorHost.objects.using(using).all())
    served = {queue for host in hosts for queue in host.queues}
    return [
        Queue(
            name=name,
            waiting=ready.get(name),
            active=active.get(name, 0),
            hosts=[host.name for host in hosts if name in host.served_queues],
            ended=sum(ended.get(name, ())),
            line=_line(ended.get(name, [0] * 12)),
        )
        for name in sorted(served | ready.keys() | active.keys() | ended.keys())
    ]


def _active(using: str) -> dict[str, Any]:
    rows = JobQuerySet(ContainerJob, using=using).filter(status__in=ACTIVE).order_by()
    return dict(rows.values_list("queue").annotate(count=Count("pk")))


def _line(ended: Sequence[int]) -> Sparkline:
    count = sum(ended)
    text = ngettext("%(count)d job ended in the last hour", "%(count)d jobs ended in the last hour", count)
    return Sparkline.of(ended, text % {"count": count})
