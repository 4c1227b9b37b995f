"""A job with output, without a worker: rows as one would have left them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from django.utils import timezone

from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobLog
from container_manager.models.log import pack
from container_manager.specs import LogEntry, Stream

Ran = Callable[..., JobAttempt]
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def out(data: bytes) -> LogEntry:
    return LogEntry(Stream.STDOUT, data, MOMENT)


def err(data: bytes) -> LogEntry:
    return LogEntry(Stream.STDERR, data, MOMENT)


def add_chunk(attempt: JobAttempt, sequence: int, *entries: LogEntry) -> None:
    JobLog.objects.update_or_create(attempt=attempt, sequence=sequence, defaults={"data": b"".join(map(pack, entries))})
    JobAttempt.objects.filter(pk=attempt.pk).update(log_sequence=sequence + 1)


@pytest.fixture
def ran(db: None) -> Ran:
    """An attempt of a job that runs, or has ended in ``status``, with chunks of output."""

    def make(*chunks: Sequence[LogEntry], status: str = "completed", **fields: object) -> JobAttempt:
        host, _ = ExecutorHost.objects.get_or_create(name="blade", defaults={"executor_type": "fake"})
        job = ContainerJob.objects.create(**{"command": "true", "status": status, "attempt": 1, **fields})
        attempt = JobAttempt.objects.create(
            job=job, number=1, host=host, launched_at=timezone.now(), started_at=timezone.now(),
            finished_at=None if status == "running" else timezone.now(), log_bytes=1,
            active_job=job if status == "running" else None,
        )  # fmt: skip
        for sequence, entries in enumerate(chunks):
            add_chunk(attempt, sequence, *entries)
        return attempt

    return make
