"""The queue at a glance: what waits, what runs, where, and what ended lately. Cheap: no finished job is read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models import Count, Sum
from django.utils import timezone

from container_manager.describing import short_id, title
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, MinuteRollup, Worker
from container_manager.models.job_queryset import JobQuerySet
from container_manager.sql.clock import DatabaseNow
from container_manager.states import ACTIVE, Hold, Status
from container_manager.wording import duration

RUNNING_SHOWN: Final = 20
LATELY: Final = timedelta(minutes=5)
Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]
"""Columns and rows."""


@dataclass(frozen=True, slots=True)
class Overview:
    """One look at the queue."""

    stats: dict[str, int]
    workers_alive: int
    ended: dict[str, int]
    """Jobs that ended in the last five minutes, by status."""
    queues: list[dict[str, Any]]
    hosts: list[dict[str, Any]]
    running: list[dict[str, Any]]

    @classmethod
    def read(cls, using: str) -> Overview:
        jobs = JobQuerySet(ContainerJob, using=using)
        recent = MinuteRollup.objects.using(using).filter(minute__gt=DatabaseNow() - LATELY)
        sums = recent.order_by().aggregate(completed=Sum("completed"), failed=Sum("failed"), cancelled=Sum("cancelled"))
        return cls(
            stats=dict(jobs.queue_stats(timezone.now())),  # type: ignore[arg-type]
            workers_alive=Worker.objects.using(using).alive().filter(kind=Worker.Kind.WORKER).count(),
            ended={name: count or 0 for name, count in sums.items()},
            queues=_queues(jobs),
            hosts=_hosts(using),
            running=_running(using),
        )

    def headline(self) -> str:
        counts = "  ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in self.stats.items())
        ended = ", ".join(f"{count:,} {name}" for name, count in self.ended.items() if count) or "nothing"
        return f"{counts}   workers {self.workers_alive}   last 5 min: {ended} ended"

    def tables(self) -> Sequence[Table]:
        """Queues, hosts and running jobs; those that are empty are left out."""
        queues = [tuple(row.values()) for row in self.queues]
        hosts = [
            (row["host"], f"{row['active_jobs']}/{row['slots']}", row["state"], row["health"]) for row in self.hosts
        ]
        running = [
            (short_id(row["id"]), row["status"], row["host"], duration(row["seconds"]), row["job"])
            for row in self.running
        ]
        found: list[Table] = [
            (("queue", "ready", "held", "launching", "running"), queues),
            (("host", "busy", "state", "health"), hosts),
            (("id", "status", "host", "for", "job"), running),
        ]
        return [table for table in found if table[1]]


def _queues(jobs: JobQuerySet) -> list[dict[str, Any]]:
    rows = jobs.filter(status__in=[Status.QUEUED, *ACTIVE]).order_by().values("queue", "status", "hold")
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows.annotate(count=Count("pk")):
        is_ready = row["status"] == Status.QUEUED and row["hold"] == Hold.NONE
        state = "ready" if is_ready else "held" if row["status"] == Status.QUEUED else row["status"]
        counts[row["queue"]][state] += row["count"]
    states = ("ready", "held", "launching", "running")
    return [{"queue": queue, **{state: counts[queue][state] for state in states}} for queue in sorted(counts)]


def _hosts(using: str) -> list[dict[str, Any]]:
    open_attempts = JobAttempt.objects.using(using).filter(active_job__isnull=False).order_by()
    in_hand = dict(open_attempts.values_list("host").annotate(count=Count("pk")))
    return [
        {
            "host": host.name, "active_jobs": in_hand.get(host.pk, 0), "slots": host.max_concurrent_jobs,
            "state": "active" if host.is_active else "drained",
            "health": host.health_error or ("healthy" if host.engine_id else "not reached yet"),
        }
        for host in ExecutorHost.objects.using(using).all()
    ]  # fmt: skip


def _running(using: str) -> list[dict[str, Any]]:
    """Those that have been in hand the longest."""
    now = timezone.now()
    attempts = JobAttempt.objects.using(using).filter(active_job__isnull=False).select_related("host", "job")
    return [
        {
            "id": attempt.job.pk, "status": attempt.job.status, "host": attempt.host.name,
            "seconds": max(0.0, (now - (attempt.started_at or attempt.launched_at)).total_seconds()),
            "job": title(attempt.job),
        }
        for attempt in attempts.order_by("launched_at")[:RUNNING_SHOWN]
    ]  # fmt: skip
