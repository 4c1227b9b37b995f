"""Workers by node, and hosts: who is alive, what is healthy, what is free."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from container_manager.models import ExecutorHost, JobAttempt, Worker


def metrics(using: str, now: datetime) -> Iterator[Metric]:
    yield from _workers(using, now)
    yield from _hosts(using, now)


def _workers(using: str, now: datetime) -> Iterator[Metric]:
    count = GaugeMetricFamily("cm_workers", "Workers, alive or dead, by node.", labels=["node", "state"])
    age = GaugeMetricFamily(
        "cm_worker_heartbeat_age_seconds", "Age of the oldest heartbeat of a worker on the node.", labels=["node"]
    )
    slots = GaugeMetricFamily("cm_worker_slots", "Jobs that the live workers of a node take at once.", labels=["node"])
    used = GaugeMetricFamily("cm_worker_slots_used", "Jobs in the hands of a node's workers.", labels=["node"])
    alive = set(Worker.objects.using(using).alive().values_list("pk", flat=True))
    in_hand = _open_attempts("worker", using)
    by_node: defaultdict[str, list[Worker]] = defaultdict(list)
    for worker in Worker.objects.using(using).filter(kind=Worker.Kind.WORKER).order_by("node"):
        by_node[worker.node].append(worker)
    for node, workers in by_node.items():
        states = Counter("alive" if worker.pk in alive else "dead" for worker in workers)
        for state in ("alive", "dead"):
            count.add_metric([node, state], states[state])
        age.add_metric([node], max(0.0, max((now - worker.heartbeat_at).total_seconds() for worker in workers)))
        slots.add_metric([node], sum(worker.concurrency or 0 for worker in workers if worker.pk in alive))
        used.add_metric([node], sum(in_hand.get(worker.pk, 0) for worker in workers))
    yield from (count, age, slots, used)


def _hosts(using: str, now: datetime) -> Iterator[Metric]:
    up = GaugeMetricFamily("cm_host_up", "1 = its engine answered when last asked, and is its own.", labels=["host"])
    active = GaugeMetricFamily("cm_host_active", "1 = takes jobs, 0 = drained.", labels=["host"])
    failures = GaugeMetricFamily("cm_host_failures", "Failures of its engine in a row.", labels=["host"])
    errors = CounterMetricFamily("cm_executor_errors", "Failures of its engine in all.", labels=["host"])
    served = GaugeMetricFamily(
        "cm_host_reached_age_seconds", "Since a worker last reached its engine.", labels=["host"]
    )
    slots = GaugeMetricFamily("cm_host_slots", "Jobs that it takes at once.", labels=["host"])
    used = GaugeMetricFamily("cm_host_slots_used", "Jobs that it has.", labels=["host"])
    in_hand = _open_attempts("host", using)
    for host in ExecutorHost.objects.using(using).order_by("name"):
        up.add_metric([host.name], float(bool(host.engine_id) and not host.health_error))
        active.add_metric([host.name], float(host.is_active))
        failures.add_metric([host.name], host.failures)
        errors.add_metric([host.name], host.error_count)
        if host.served_at is not None:
            served.add_metric([host.name], max(0.0, (now - host.served_at).total_seconds()))
        slots.add_metric([host.name], host.max_concurrent_jobs)
        used.add_metric([host.name], in_hand.get(host.pk, 0))
    yield from (up, active, failures, errors, served, slots, used)


def _open_attempts(by: str, using: str) -> dict[Any, int]:
    rows = JobAttempt.objects.using(using).filter(active_job__isnull=False).order_by()
    return dict(rows.values_list(by).annotate(count=Count("pk")))
