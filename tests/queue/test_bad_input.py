"""Bad input gets a typed error that says what to do, and the database is as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils import timezone

from container_manager import queue_manager
from container_manager.exceptions import (
    JobActiveError,
    JobAlreadyQueuedError,
    JobNotQueueableError,
    JobNotQueuedError,
    JobValidationError,
    QueueError,
)
from container_manager.models import ContainerJob, EnvironmentTemplate, ExecutorHost, JobAttempt, JobEvent
from container_manager.states import PRIORITY_HIGHEST, Hold, Status

pytestmark = pytest.mark.django_db

NAIVE = datetime(2030, 1, 1)  # noqa: DTZ001 - the point


def everything() -> list[list[dict[str, Any]]]:
    """All rows that a call could have touched."""
    models: tuple[type[Model], ...] = (ContainerJob, JobAttempt, JobEvent)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


def job_in(status: Status, **fields: Any) -> ContainerJob:
    return ContainerJob.objects.create(command="true", status=status, **fields)


ROWS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], type[Exception], str]] = {
    "queue a queued job": (
        lambda: job_in(Status.QUEUED), queue_manager.queue_job, JobAlreadyQueuedError, "cannot be queued twice",
    ),
    "queue a launching job": (
        lambda: job_in(Status.LAUNCHING), queue_manager.queue_job, JobAlreadyQueuedError, "launching already",
    ),
    "queue a running job": (
        lambda: job_in(Status.RUNNING), queue_manager.queue_job, JobAlreadyQueuedError, "running already",
    ),
    "queue a completed job": (
        lambda: job_in(Status.COMPLETED), queue_manager.queue_job, JobNotQueueableError, "clone_job",
    ),
    "queue a cancelled job": (
        lambda: job_in(Status.CANCELLED), queue_manager.queue_job, JobNotQueueableError, "clone_job",
    ),
    "dequeue a pending job": (
        lambda: job_in(Status.PENDING), queue_manager.dequeue_job, JobNotQueuedError, "nothing to take out",
    ),
    "dequeue a running job": (
        lambda: job_in(Status.RUNNING), queue_manager.dequeue_job, JobNotQueuedError, "is running",
    ),
    "dequeue a job that ran and failed": (
        lambda: job_in(Status.FAILED, launched_at=timezone.now()), queue_manager.dequeue_job, JobNotQueuedError,
        "is failed",
    ),
    "retry a running job": (
        lambda: job_in(Status.RUNNING), queue_manager.retry_job, JobNotQueueableError, "only a failed job is retried",
    ),
    "a priority above the range": (
        lambda: job_in(Status.PENDING), lambda job: queue_manager.queue_job(job, priority=PRIORITY_HIGHEST + 1),
        JobValidationError, "from 0 to 100",
    ),
    "a priority below the range": (
        lambda: job_in(Status.PENDING), lambda job: queue_manager.queue_job(job, priority=-1), JobValidationError,
        "from 0 to 100",
    ),
    "a naive moment": (
        lambda: job_in(Status.PENDING), lambda job: queue_manager.queue_job(job, schedule_for=NAIVE),
        JobValidationError, "make_aware",
    ),
    "neither command nor image": (
        lambda: None, lambda _: queue_manager.create_and_queue(), JobValidationError, "Give a command, or an image",
    ),
    "a NUL in the environment": (
        lambda: None, lambda _: queue_manager.create_and_queue(command="true", environment={"A": "\0"}),
        JobValidationError, "cannot hold NUL",
    ),
    "a variable's name with =": (
        lambda: None, lambda _: queue_manager.create_and_queue(command="true", environment={"A=B": "1"}),
        JobValidationError, "no '='",
    ),
    "a negative limit of memory": (
        lambda: None, lambda _: queue_manager.create_and_queue(command="true", memory_limit=-1), JobValidationError,
        "from 1 to",
    ),
    "a clone with a wrong change": (
        lambda: job_in(Status.COMPLETED), lambda job: queue_manager.clone_job(job, priority=300), JobValidationError,
        "from 0 to 100",
    ),
    "a negative limit": (
        lambda: job_in(Status.QUEUED), lambda _: queue_manager.get_ready_jobs(limit=-1), ValueError, "limit is -1",
    ),
    "a negative limit of launches": (
        lambda: job_in(Status.QUEUED), lambda _: queue_manager.launch_ready(limit=-1), ValueError, "limit is -1",
    ),
    "delete an active job": (
        lambda: job_in(Status.RUNNING), lambda job: job.delete(), JobActiveError, "Cancel it first",
    ),
    "delete jobs one of which is active": (
        lambda: [job_in(Status.COMPLETED), job_in(Status.LAUNCHING)], lambda _: ContainerJob.objects.all().delete(),
        JobActiveError, "Cancel it first",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "call", "error", "message"), ROWS.values(), ids=ROWS)
def test_it_is_refused_says_what_to_do_and_changes_nothing(
    given: Callable[[], Any], call: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    subject = given()
    before = everything()
    with pytest.raises(error) as caught:
        call(subject)
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)
    if isinstance(caught.value, QueueError) and isinstance(subject, ContainerJob):
        assert str(subject.pk) in str(caught.value) or isinstance(caught.value, ValidationError)
    assert everything() == before


def test_a_refused_call_leaves_the_instance_as_it_was() -> None:
    later = timezone.now() + timedelta(hours=1)
    job = job_in(Status.PENDING, scheduled_for=later, priority=7)
    for arguments in ({"priority": 101}, {"schedule_for": NAIVE}, {"priority": 101, "schedule_for": NAIVE}):
        with pytest.raises(JobValidationError):
            queue_manager.queue_job(job, **arguments)
        assert (job.status, job.priority, job.scheduled_for) == (Status.PENDING, 7, later)
    queue_manager.queue_job(job)
    assert job.scheduled_for == later


def test_no_retries_are_accepted_and_the_job_never_becomes_ready(host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command="true", max_retries=0)
    assert (job.status, job.hold, job.is_ready_to_launch) == (Status.QUEUED, Hold.EXHAUSTED, False)
    assert list(queue_manager.get_ready_jobs()) == []
    assert queue_manager.claim(host, job.pk, limit=5) == []
    assert "max_retries" in queue_manager.launch_job(job)["error"]
    assert queue_manager.get_queue_stats() == {"queued": 0, "scheduled": 0, "running": 0, "launch_failed": 1}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"command": ""}, {"command"}),
        ({"command": "true", "priority": 101}, {"priority"}),
        ({"command": "true", "environment": {"A=B": "x"}}, {"environment"}),
        ({"command": "true", "memory_limit": -5, "queue": "a b"}, {"memory_limit", "queue"}),
    ],
)
def test_forms_name_the_field_too(fields: dict[str, Any], wrong: set[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        ContainerJob(**fields).full_clean()
    assert set(caught.value.message_dict) == wrong


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"executor_type": "fake", "options": {"speed": 3}}, "options"),
        ({"executor_type": "docker", "options": {"base_urll": "x"}}, "options"),
        ({"executor_type": "dokcer"}, "executor_type"),
        ({"executor_type": "fake", "options": []}, "options"),
        ({"executor_type": "fake", "queues": ["a b"]}, "queues"),
        ({"executor_type": "fake", "queues": "default"}, "queues"),
        ({"executor_type": "fake", "max_concurrent_jobs": 0}, "max_concurrent_jobs"),
        ({"executor_type": "fake", "name": "a b"}, "name"),
        ({"executor_type": "process"}, "node"),
    ],
)
def test_a_wrong_host_is_told_by_its_field(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ExecutorHost(**{"name": "x", **fields}).full_clean()
    assert list(caught.value.message_dict) == [wrong]


def test_a_good_host_is_taken(host: ExecutorHost) -> None:
    host.full_clean()


def test_a_templates_variables_are_judged_too() -> None:
    with pytest.raises(ValidationError) as caught:
        EnvironmentTemplate(name="x", environment={"A=B": "1"}).full_clean()
    assert list(caught.value.message_dict) == ["environment"]


def test_the_longest_and_the_largest_fit_into_every_database() -> None:
    job = queue_manager.create_and_queue(
        name="\N{SNOWMAN}" * 200, image="i" * 500, command=["\N{GRINNING FACE}", 'a "b"\n'],
        working_directory="/" * 500,
        environment={"A": "\N{GRINNING FACE}\n'\""}, labels={"k": "v" * 1000}, queue="q" * 64, user="u" * 100,
        memory_limit=2**31 - 1, timeout_seconds=2**31 - 1, queue_timeout_seconds=2**31 - 1, max_retries=2**31 - 1,
        cpu_limit=0.01, priority=100,
    )  # fmt: skip
    row = ContainerJob.objects.get(pk=job.pk)
    assert (row.name, row.command, row.environment) == (job.name, job.command, job.environment)
    assert (row.memory_limit, row.timeout_seconds, row.max_retries) == (2**31 - 1,) * 3
    assert row.expires_at == job.expires_at


def test_a_limit_beyond_the_last_of_all_dates_is_never_reached() -> None:
    last = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    job = queue_manager.create_and_queue(command="true", schedule_for=last, queue_timeout_seconds=2**31 - 1)
    assert (job.status, job.expires_at) == ("queued", None)
