"""Old output goes, and nothing that is still wanted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobLog
from container_manager.states import Status
from container_manager.worker.retention import Retention

pytestmark = pytest.mark.django_db

AGE = timedelta(days=7)


def attempt_with_output(host: ExecutorHost, launched: timedelta, finished: timedelta | None) -> JobAttempt:
    """Launched and finished so long ago; ``None`` = it runs."""
    now = timezone.now()
    job = ContainerJob.objects.create(command="true", status=Status.RUNNING if finished is None else Status.FAILED)
    attempt = JobAttempt.objects.create(
        pk=uuid7(nanoseconds=int((now - launched).timestamp()) * 10**9), job=job, number=1, host=host, log_sequence=2,
        launched_at=now - launched, finished_at=None if finished is None else now - finished,
    )  # fmt: skip
    JobLog.objects.bulk_create(JobLog(attempt=attempt, sequence=number, data=b"x") for number in range(2))
    return attempt


def test_output_of_attempts_that_ended_long_ago_is_gone_and_no_other(settings: Any) -> None:
    settings.CONTAINER_MANAGER = {"RETENTION": {"logs": AGE.total_seconds()}}
    host = ExecutorHost.objects.create(name="fake", executor_type="fake")
    day = timedelta(days=1)
    old = attempt_with_output(host, AGE + 2 * day, AGE + day)
    kept = [
        attempt_with_output(host, AGE + 3 * day, None),
        attempt_with_output(host, AGE + day, AGE - day),
        attempt_with_output(host, 2 * day, day),
    ]
    retention = Retention("default")
    assert retention.count_old() == {"logs": 1}
    assert retention.prune_some()["logs"] == 1
    assert set(JobLog.objects.values_list("attempt_id", flat=True)) == {attempt.pk for attempt in kept}
    old.refresh_from_db()
    assert old.log_sequence == 0
    assert retention.prune_some()["logs"] == 0
