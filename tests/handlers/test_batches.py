"""A batch counts its jobs, and its function is told once when the last of them has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django import forms
from django.db import connection, connections, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager import batches, queue_manager
from container_manager.definitions import JobDefinition
from container_manager.exceptions import ConfigurationError, JobAlreadyQueuedError, JobValidationError
from container_manager.executors.fake import Script
from container_manager.models import ContainerJob, ExecutorHost, HandlerCall, JobBatch
from container_manager.states import Status
from container_manager.worker.retention import Retention
from tests.handlers import told

pytestmark = pytest.mark.django_db(transaction=True)


def batch_of(*statuses: Status, **fields: Any) -> JobBatch:
    """A batch whose jobs are where they were moved by hand."""
    batch = queue_manager.queue_batch([ContainerJob(command="true") for _ in statuses], **fields)
    for job, status in zip(batch.jobs.order_by("queued_at"), statuses, strict=True):
        if status == Status.CANCELLED:
            queue_manager.cancel_job(job)
        elif status != Status.QUEUED:
            job.mark_as_running()
            if status != Status.RUNNING:
                job.transition_to(status)
    return batch


def test_a_batch_runs_and_its_function_is_told_once(host: ExecutorHost, drain: Callable[[], None]) -> None:
    commands = [Script(exit_code=code).command() for code in (0, 0, 3)]
    jobs = [ContainerJob(command=command) for command in commands]
    batch = queue_manager.queue_batch(jobs, name="album", on_complete="tests.handlers.told.batch_told")
    assert batch.progress() == {"total": 3, "queued": 3, "running": 0, "completed": 0, "failed": 0, "cancelled": 0}
    drain()
    drain()
    batch.refresh_from_db()
    assert batch.is_completed
    assert batch.progress() == {"total": 3, "queued": 0, "running": 0, "completed": 2, "failed": 1, "cancelled": 0}
    assert told.calls() == {batch.pk.hex: 1}


def test_progress_counts_each_status_in_one_query() -> None:
    batch = batch_of(Status.QUEUED, Status.QUEUED, Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.CANCELLED)
    with CaptureQueriesContext(connection) as queries:
        progress = batch.progress()
    assert progress == {"total": 6, "queued": 2, "running": 1, "completed": 1, "failed": 1, "cancelled": 1}
    assert len(queries) == 1


@pytest.mark.parametrize("last", [Status.QUEUED, Status.RUNNING])
def test_a_batch_with_one_unfinished_job_is_not_completed(last: Status) -> None:
    batch_of(Status.COMPLETED, last, on_complete="tests.handlers.told.batch_told")
    assert batches.complete_ended("default") == 0
    assert not HandlerCall.objects.exists()


def test_a_dequeued_job_keeps_its_batch_open() -> None:
    batch = batch_of(Status.QUEUED)
    queue_manager.dequeue_job(batch.jobs.get())
    assert batches.complete_ended("default") == 0


@pytest.mark.races
def test_of_many_workers_one_completes_a_batch() -> None:
    for _ in range(10):
        batch_of(Status.COMPLETED, on_complete="tests.handlers.told.batch_told")

    def complete(_: int) -> int:
        try:
            return batches.complete_ended("default")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(complete, range(4))) == 10
    assert HandlerCall.objects.count() == 10


def test_a_batch_of_nothing_is_completed_at_once(host: ExecutorHost, drain: Callable[[], None]) -> None:
    batch = queue_manager.queue_batch([], on_complete=told.batch_told)
    drain()
    assert told.calls() == {batch.pk.hex: 1}


def test_a_batch_joins_the_callers_transaction() -> None:
    with transaction.atomic():
        batch_of(Status.QUEUED)
        transaction.set_rollback(True)
    assert not JobBatch.objects.exists()
    assert not ContainerJob.objects.exists()


def test_saved_and_new_jobs_can_be_one_batch() -> None:
    known = ContainerJob.objects.create(command="true")
    batch = queue_manager.queue_batch([known, ContainerJob(command="true")])
    assert Counter(batch.jobs.values_list("status", flat=True)) == {"queued": 2}


def test_a_batch_that_is_wrong_queues_nothing() -> None:
    taken = batch_of(Status.QUEUED).jobs.get()
    good = ContainerJob(command="true")
    with pytest.raises(JobValidationError, match="a job has one"):
        queue_manager.queue_batch([good, taken])
    with pytest.raises(JobValidationError, match="command"):
        queue_manager.queue_batch([good, ContainerJob(command="'")])
    with pytest.raises(JobAlreadyQueuedError):
        queue_manager.queue_batch([good, ContainerJob.objects.create(command="true", status=Status.QUEUED)])
    with pytest.raises(JobValidationError, match="cannot be imported"):
        queue_manager.queue_batch([good], on_complete="tests.handlers.told.missing")
    with pytest.raises(ConfigurationError, match="function of a module"):
        queue_manager.queue_batch([good], on_complete=lambda batch: None)
    assert good.batch is None
    assert (JobBatch.objects.count(), ContainerJob.objects.count()) == (1, 2)
    queue_manager.queue_batch([good])


class Thumbnail(JobDefinition):
    abstract = True
    name = "thumbnail"
    command = ["convert", "-resize", "{width}", "in", "out"]
    width = forms.IntegerField(min_value=1)


def test_a_definition_queues_many_as_one_batch() -> None:
    batch = Thumbnail.queue_many(
        [{"width": 10}, {"width": 20, "priority": 80}], tenant="acme", on_complete=told.batch_told
    )
    rows = batch.jobs.order_by("queued_at").values_list("parameters", "priority", "tenant", "definition")
    assert list(rows) == [({"width": 10}, 50, "acme", "thumbnail"), ({"width": 20}, 80, "acme", "thumbnail")]
    assert (batch.name, batch.on_complete) == ("thumbnail", "tests.handlers.told.batch_told")
    with pytest.raises(JobValidationError) as refused:
        Thumbnail.queue_many([{"width": 10}, {"width": 0}])
    assert refused.value.message_dict["job"] == ["This is number 1."]
    assert JobBatch.objects.count() == 1


def test_a_cancelled_batch_waits_for_what_runs() -> None:
    batch = batch_of(Status.QUEUED, Status.QUEUED, Status.RUNNING, Status.COMPLETED)
    assert queue_manager.cancel_batch(batch) == 3
    assert queue_manager.cancel_batch(batch) == 0
    running = batch.jobs.get(status=Status.RUNNING)
    assert running.cancel_requested_at is not None
    assert batches.complete_ended("default") == 0
    running.transition_to(Status.CANCELLED)
    assert batches.complete_ended("default") == 1
    batch.refresh_from_db()
    assert batch.progress() == {"total": 4, "queued": 0, "running": 0, "completed": 1, "failed": 0, "cancelled": 3}


@override_settings(CONTAINER_MANAGER={"RETENTION": {"completed": 60}})
def test_jobs_of_an_open_batch_are_not_pruned_and_a_completed_one_keeps_its_counts() -> None:
    batch = batch_of(Status.COMPLETED, Status.RUNNING)
    ContainerJob.objects.filter(status=Status.COMPLETED).update(finished_at=timezone.now() - timedelta(hours=1))
    assert Retention("default").prune_some()["completed"] == 0
    batch.jobs.get(status=Status.RUNNING).mark_as_completed()
    batches.complete_ended("default")
    assert Retention("default").prune_some()["completed"] == 1
    batch.refresh_from_db()
    assert batch.progress()["completed"] == 2


def test_a_function_that_was_removed_keeps_the_call_and_says_so(host: ExecutorHost, drain: Callable[[], None]) -> None:
    batch = batch_of(Status.COMPLETED)
    JobBatch.objects.filter(pk=batch.pk).update(on_complete="gone.away")
    drain()
    assert "There is no function gone.away here" in HandlerCall.objects.get().last_error


def test_a_clone_of_one_of_its_jobs_is_not_in_the_batch() -> None:
    batch = queue_manager.queue_batch([ContainerJob(command="true")])
    queue_manager.clone_job(batch.jobs.get())
    assert batch.jobs.count() == batch.total == 1
