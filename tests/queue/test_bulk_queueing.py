"""``queue_jobs``: as ``queue_job`` for each, in a handful of statements, all or none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager import queue_manager
from container_manager.exceptions import (
    DuplicateJobError,
    JobAlreadyQueuedError,
    JobNotQueueableError,
    JobValidationError,
    QueueCapacityError,
)
from container_manager.models import ContainerJob, JobEvent
from container_manager.states import Hold, Status

pytestmark = pytest.mark.django_db

COLUMNS = [field.attname for field in ContainerJob._meta.concrete_fields if field.name not in ("id", "created_at")]


def saved(count: int = 1, **fields: Any) -> list[ContainerJob]:
    return ContainerJob.objects.bulk_create([ContainerJob(**{"command": "true", **fields}) for _ in range(count)])


def row(job: ContainerJob) -> dict[str, Any]:
    return dict(ContainerJob.objects.filter(pk=job.pk).values(*COLUMNS).get())


def shown(job: ContainerJob) -> dict[str, Any]:
    return {name: getattr(job, name) for name in COLUMNS}


def test_no_jobs_are_no_error() -> None:
    assert queue_manager.queue_jobs([]) == []
    assert queue_manager.queue_jobs(iter([])) == []


def test_a_thousand_saved_jobs_that_all_differ_take_a_handful_of_statements() -> None:
    soon = timezone.now() + timedelta(hours=1)
    jobs = saved(1000)
    for number, job in enumerate(jobs):
        job.priority, job.max_retries = number % 101, number % 4
        job.scheduled_for = soon + timedelta(seconds=number) if number % 2 else None
        job.queue_timeout_seconds = number + 1
    with CaptureQueriesContext(connection) as captured:
        queue_manager.queue_jobs(jobs)
    # Django splits an INSERT on SQLite into pieces of 999 parameters.
    assert len(captured) <= (12 if connection.features.max_query_params is None else 30)
    ready = list(queue_manager.get_ready_jobs().values_list("pk", flat=True))
    expected = [job for number, job in enumerate(jobs) if number % 2 == 0 and number % 4]
    assert ready == [job.pk for job in sorted(expected, key=lambda job: -job.priority)]
    for number in (0, 1, 2, 3, 999):
        assert row(jobs[number])["hold"] == jobs[number].hold
    assert [jobs[number].hold for number in range(4)] == [Hold.EXHAUSTED, Hold.SCHEDULE, Hold.NONE, Hold.SCHEDULE]


def test_each_has_a_microsecond_of_its_own_in_the_lists_order() -> None:
    jobs = queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(50)])
    stamps = [ContainerJob.objects.get(pk=job.pk).queued_at for job in jobs]
    assert stamps[0] is not None
    assert stamps == [stamps[0] + timedelta(microseconds=number) for number in range(50)]


def test_afterwards_every_instance_shows_its_row() -> None:
    later = timezone.now() + timedelta(hours=1)
    [failed] = saved(status=Status.FAILED, retry_count=3, exit_code=1, outcome="app_error", error="x", attempt=7)
    [scheduled] = saved(scheduled_for=later)
    [limited] = saved(queue_timeout_seconds=60)
    new = ContainerJob(command="true", priority=9)
    jobs = queue_manager.queue_jobs([failed, scheduled, new, limited])
    assert jobs == [failed, scheduled, new, limited]
    for job in jobs:
        assert shown(job) == row(job)
        assert job.status == Status.QUEUED
        assert job.guarded_changes() == {}
    assert (failed.retry_count, failed.exit_code, failed.outcome, failed.error) == (0, None, "", "")
    assert (failed.attempt, failed.finished_at, failed.launched_at) == (7, None, None)
    assert (scheduled.hold, scheduled.hold_until) == (Hold.SCHEDULE, later)
    assert limited.expires_at == (limited.queued_at or later) + timedelta(seconds=60)


def test_a_row_that_is_given_no_value_keeps_none_of_its_old_one() -> None:
    """The hold of one is written, and in the same statement the hold of the other is taken away."""
    later = timezone.now() + timedelta(hours=1)
    one, other = (ContainerJob.objects.create(command="true", scheduled_for=later) for _ in range(2))
    for job in (one, other):
        queue_manager.queue_job(job)
        job.mark_as_failed("no")
    one.scheduled_for = None
    queue_manager.queue_jobs([one, other])
    rows = ContainerJob.objects.in_bulk([one.pk, other.pk])
    assert (rows[one.pk].hold, rows[one.pk].hold_until, rows[one.pk].scheduled_for) == ("", None, None)
    assert (rows[other.pk].hold, rows[other.pk].hold_until) == ("schedule", later)


def test_one_and_many_do_the_same_to_a_job() -> None:
    later = timezone.now() + timedelta(hours=1)
    changes: list[dict[str, Any]] = [
        {},
        {"priority": 90, "scheduled_for": later},
        {"max_retries": 0},
        {"queue_timeout_seconds": 60},
    ]
    for status in (Status.PENDING, Status.FAILED):
        for change in changes:
            one, many = saved(2, status=status, retry_count=2 if status == Status.FAILED else 0, error="e", attempt=2)
            for job in (one, many):
                for name, value in change.items():
                    setattr(job, name, value)
            queue_manager.queue_job(one)
            queue_manager.queue_jobs([many])
            differing = {name for name, value in row(one).items() if value != row(many)[name]}
            assert differing <= {"queued_at", "expires_at"}, (status, change, differing)
            assert (row(one)["expires_at"] is None) == (row(many)["expires_at"] is None)
            assert len(one.events.all()) == len(many.events.all()) == 1


def test_a_refusal_leaves_rows_and_instances_as_they_were_so_that_the_rest_can_be_queued() -> None:
    [good] = saved()
    [failed] = saved(status=Status.FAILED, error="kept")
    [moved] = saved()
    queue_manager.queue_job(ContainerJob.objects.get(pk=moved.pk))
    new = ContainerJob(command="true")
    before = [row(job) for job in (good, failed, moved)]
    with pytest.raises(JobAlreadyQueuedError, match=str(moved.pk)):
        queue_manager.queue_jobs([good, new, failed, moved])
    assert [row(job) for job in (good, failed, moved)] == before
    assert not ContainerJob.objects.filter(pk=new.pk).exists()
    assert JobEvent.objects.count() == 1
    queue_manager.queue_jobs([good, new, failed])
    assert queue_manager.get_ready_jobs().count() == 4


def test_a_row_the_database_refuses_leaves_nothing_queued() -> None:
    saved(unique_key="taken")
    [known] = saved()
    clash = [ContainerJob(command="true", unique_key="taken"), ContainerJob(command="true")]
    with pytest.raises(DuplicateJobError, match="holds the key 'taken'"):
        queue_manager.queue_jobs([known, *clash])
    assert row(known)["status"] == Status.PENDING
    clash[0].unique_key = None
    queue_manager.queue_jobs([known, *clash])
    assert queue_manager.get_ready_jobs().count() == 3


def test_a_job_that_is_listed_twice_is_refused() -> None:
    [known], new = saved(), ContainerJob(command="true")
    for jobs in ([known, known], [known, ContainerJob.objects.get(pk=known.pk)], [new, new]):
        with pytest.raises(JobAlreadyQueuedError, match="twice"):
            queue_manager.queue_jobs(jobs)
    assert row(known)["status"] == Status.PENDING
    assert ContainerJob.objects.count() == 1


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.CANCELLED])
def test_a_final_one_among_them_is_refused_by_its_name(status: Status) -> None:
    [final], [good] = saved(status=status), saved()
    with pytest.raises(JobNotQueueableError, match=str(final.pk)):
        queue_manager.queue_jobs([good, final])
    assert row(good)["status"] == Status.PENDING


def test_a_wrong_one_among_them_names_the_field_and_the_job() -> None:
    wrong = ContainerJob(command="true", environment={"A=": "x"})
    with pytest.raises(JobValidationError) as caught:
        queue_manager.queue_jobs([ContainerJob(command="true"), wrong])
    assert set(caught.value.message_dict) == {"environment", "job"}
    assert str(wrong.pk) in caught.value.message_dict["job"][0]
    assert not ContainerJob.objects.exists()


@override_settings(CONTAINER_MANAGER={"MAX_QUEUE_DEPTH": 3})
def test_the_limit_of_the_queue_counts_the_whole_list() -> None:
    queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(2)])
    with pytest.raises(QueueCapacityError, match="2 more do not fit"):
        queue_manager.queue_jobs([ContainerJob(command="true"), *saved()])
    assert queue_manager.get_queue_stats()["queued"] == 2
    queue_manager.create_and_queue(command="true")


@override_settings(CONTAINER_MANAGER={"MAX_QUEUE_DEPTH": 0})
def test_a_queue_of_no_depth_takes_nothing() -> None:
    with pytest.raises(QueueCapacityError):
        queue_manager.create_and_queue(command="true")
    assert not ContainerJob.objects.exists()


def test_a_rollback_around_many_queues_none_of_them() -> None:
    known = saved(3)
    with transaction.atomic():
        queue_manager.queue_jobs([*known, ContainerJob(command="true")])
        transaction.set_rollback(True)
    assert [row(job)["status"] for job in known] == [Status.PENDING] * 3
    assert ContainerJob.objects.count() == 3
    assert not JobEvent.objects.exists()
