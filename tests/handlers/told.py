"""Handlers of the tests. They write into a table, since a worker may be another process."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager.models import ContainerJob, EnvironmentTemplate, HandlerCall, JobBatch

gate = threading.Event()


def told(job: ContainerJob) -> None:
    """One row for each call. The table is one of ours that nothing else in these tests uses."""
    EnvironmentTemplate.objects.create(name=f"told {job.pk.hex} {uuid7().hex}")


def queue_told(queue: str) -> None:
    EnvironmentTemplate.objects.create(name=f"told {queue} {uuid7().hex}")


def batch_told(batch: JobBatch) -> None:
    assert batch.is_completed
    queue_told(batch.pk.hex)


def told_too(job: ContainerJob) -> None:
    told(job)


def raising(job: ContainerJob) -> None:
    raise ValueError(f"no mood for {job.name}")


def exiting(job: ContainerJob) -> None:
    raise SystemExit(3)


def endless(job: ContainerJob) -> None:
    while True:
        gate.wait(0.01)


def make_due() -> None:
    """Waiting for the next try is over."""
    HandlerCall.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now() - timedelta(minutes=1))


def calls() -> Counter[str]:
    """How often each job was told of, by its id in hex."""
    names = EnvironmentTemplate.objects.filter(name__startswith="told ").values_list("name", flat=True)
    return Counter(name.split()[1] for name in names)
