"""The queue as a Prometheus collector: every scrape asks the database, and never counts finished jobs."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from container_manager.metrics import fleet, history, waiting
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.sql.clock import database_now


class QueueCollector(Collector):
    """
    What ``metrics_view`` shows. Also for a registry of the project's own:
    ``REGISTRY.register(QueueCollector())``.

    A handful of queries a scrape; their cost grows with the jobs that wait or run, the hosts, the
    workers and the queues, not with what has ended. Database errors are raised.
    """

    def describe(self) -> list[Metric]:
        """Nothing: so that registering asks no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        using = JobQuerySet(ContainerJob).write_alias
        now = database_now(using)
        yield from waiting.metrics(using, now)
        yield from history.metrics(using)
        yield from fleet.metrics(using, now)
