"""Jobs that wait or run, by queue, and how long the oldest ready one has waited."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Case, Count, F, Min, When
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from container_manager.models import ContainerJob, ExecutorHost, MinuteRollup
from container_manager.models.rollup import TOTAL
from container_manager.states import ACTIVE, Hold, Status


def metrics(using: str, now: datetime) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "cm_jobs",
        "Jobs that are queued (by what holds them; empty = ready), launching or running.",
        labels=["queue", "state", "hold"],
    )
    oldest = GaugeMetricFamily(
        "cm_queue_oldest_wait_seconds",
        "How long the longest waiting ready job could have run; 0 = none waits.",
        labels=["queue"],
    )
    counts, since = _count(using)
    for queue, state, hold in sorted(counts):
        jobs.add_metric([queue, state, hold], counts[queue, state, hold])
    for queue in sorted({queue for queue, _, _ in counts}):
        waited = (now - since[queue]).total_seconds() if queue in since else 0.0
        oldest.add_metric([queue], max(0.0, waited))
    yield jobs
    yield oldest


def _count(using: str) -> tuple[dict[tuple[str, str, str], int], dict[str, datetime]]:
    """How many by queue, status and hold, with zeros for the queues that are known; and since when they are ready."""
    counts = {
        (queue, status.value, ""): 0
        for queue in _known_queues(using)
        for status in (Status.QUEUED, *ACTIVE)
    }  # fmt: skip
    since: dict[str, datetime] = {}
    # MariaDB's and SQLite's own greatest-of is NULL where one is, so CASE.
    could_run = Case(When(scheduled_for__gt=F("queued_at"), then=F("scheduled_for")), default=F("queued_at"))
    rows = ContainerJob.objects.using(using).filter(status__in=[Status.QUEUED, *ACTIVE]).order_by()
    found = rows.values("queue", "status", "hold").annotate(count=Count("pk"), since=Min(could_run))
    for row in found:
        counts[row["queue"], row["status"], row["hold"]] = row["count"]
        if row["status"] == Status.QUEUED and row["hold"] == Hold.NONE:
            since[row["queue"]] = row["since"]
    return counts, since


def _known_queues(using: str) -> set[str]:
    """Queues that hosts serve or that had jobs: an empty one is 0, not absent."""
    served = ExecutorHost.objects.using(using).values_list("queues", flat=True)
    used = MinuteRollup.objects.using(using).filter(minute=TOTAL).values_list("queue", flat=True)
    return {queue for queues in served for queue in queues} | set(used)
