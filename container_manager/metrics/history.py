"""What has ended so far, by queue, from one row each: counters and histograms that only grow."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from container_manager.models import MinuteRollup
from container_manager.models.rollup import BUCKET_BOUNDS, OUTCOMES, RUN_BUCKETS, TOTAL, WAIT_BUCKETS
from container_manager.states import Status

_BOUNDS = (*(str(bound) for bound in BUCKET_BOUNDS), "+Inf")


def metrics(using: str) -> Iterator[Metric]:
    totals = list(MinuteRollup.objects.using(using).filter(minute=TOTAL).order_by("queue"))
    finished = CounterMetricFamily("cm_jobs_finished", "Jobs that workers saw end, by how.", labels=["queue", "status"])
    outcomes = CounterMetricFamily(
        "cm_outcomes", "How attempts ended, those that were followed by another included.", labels=["queue", "outcome"]
    )
    retried = CounterMetricFamily("cm_jobs_retried", "Attempts that are followed by another.", labels=["queue"])
    released = CounterMetricFamily("cm_jobs_released", "Claims given back before anything started.", labels=["queue"])
    rescued = CounterMetricFamily("cm_rescues", "Attempts taken over from a dead worker.", labels=["queue"])
    for row in totals:
        rescued.add_metric([row.queue], row.rescued)
        for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED):
            finished.add_metric([row.queue, status.value], getattr(row, status.value))
        for outcome, column in OUTCOMES.items():
            outcomes.add_metric([row.queue, outcome.value], getattr(row, column))
        retried.add_metric([row.queue], row.retried)
        released.add_metric([row.queue], row.released)
    yield from (finished, outcomes, retried, released, rescued)
    wait = HistogramMetricFamily(
        "cm_job_wait_seconds", "From when a job could run to its launch; jobs with one launch.", labels=["queue"]
    )
    run = HistogramMetricFamily(
        "cm_job_run_seconds", "From the start of a job's last attempt to its end.", labels=["queue"]
    )
    for row in totals:
        wait.add_metric([row.queue], _cumulative(row, WAIT_BUCKETS), row.wait_seconds)
        run.add_metric([row.queue], _cumulative(row, RUN_BUCKETS), row.run_seconds)
    yield from (wait, run)


def _cumulative(row: MinuteRollup, columns: tuple[str, ...]) -> list[tuple[str, float]]:
    return list(zip(_BOUNDS, accumulate(getattr(row, name) for name in columns), strict=True))
