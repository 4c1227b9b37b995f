"""What ``save()`` writes of the protocol's columns: only what was changed, and never from behind."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager import queue_manager
from container_manager.exceptions import InvalidTransitionError, JobActiveError, JobValidationError
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobEvent, JobLog
from container_manager.states import Hold, Status

pytestmark = pytest.mark.django_db


def running(host: ExecutorHost) -> ContainerJob:
    job = queue_manager.create_and_queue(command="true")
    assert queue_manager.launch_job(job)["success"]
    return job


def test_a_stale_full_save_cannot_undo_a_launch(host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command="true")
    form = ContainerJob.objects.get(pk=job.pk)
    assert queue_manager.launch_job(job)["success"]
    form.name = "renamed in a form that was opened before the launch"
    form.save()
    job.refresh_from_db()
    assert (job.status, job.attempt, job.name) == (Status.RUNNING, 1, form.name)
    assert job.launched_at is not None


def test_a_stale_change_of_status_is_refused_and_writes_nothing(host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command="true")
    stale = ContainerJob.objects.get(pk=job.pk)
    queue_manager.launch_job(job)
    stale.status, stale.name = Status.CANCELLED, "not written either"
    with pytest.raises(InvalidTransitionError, match="refresh_from_db"):
        stale.save()
    job.refresh_from_db()
    assert (job.status, job.name) == (Status.RUNNING, "")


def test_an_instance_of_an_earlier_attempt_cannot_end_a_later_one(host: ExecutorHost) -> None:
    job = running(host)
    earlier = ContainerJob.objects.get(pk=job.pk)
    ContainerJob.objects.filter(pk=job.pk).update(attempt=2)
    with pytest.raises(InvalidTransitionError):
        earlier.mark_as_completed()


@pytest.mark.parametrize("status", [Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.LAUNCHING])
def test_an_illegal_status_is_refused_as_a_value_error(status: Status) -> None:
    job = ContainerJob.objects.create(command="true")
    job.status = status
    with pytest.raises(InvalidTransitionError) as caught:
        job.save()
    assert isinstance(caught.value, ValueError)
    job.refresh_from_db()
    assert job.status == Status.PENDING
    assert not job.events.exists()


def test_a_legal_status_set_by_hand_is_a_transition_with_its_event() -> None:
    job = ContainerJob.objects.create(command="true")
    job.status = Status.QUEUED
    job.save()
    job.refresh_from_db()
    assert job.is_queued
    assert [event.verb for event in job.events.all()] == ["queue"]


def test_an_ordinary_save_is_one_update_without_the_protocols_columns() -> None:
    job = ContainerJob.objects.get(pk=ContainerJob.objects.create(command="true").pk)
    job.name = "x"
    with CaptureQueriesContext(connection) as captured:
        job.save()
    [statement] = [query["sql"] for query in captured if query["sql"].startswith("UPDATE")]
    assert len(captured) == 1
    assert "retry_count" not in statement
    assert "launched_at" not in statement


def test_a_changed_schedule_moves_the_hold_along() -> None:
    later = timezone.now() + timedelta(hours=1)
    job = queue_manager.queue_job(ContainerJob.objects.create(command="true"), schedule_for=later)
    assert (job.hold, job.hold_until) == (Hold.SCHEDULE, later)
    job.scheduled_for = None
    job.save()
    job.refresh_from_db()
    assert (job.hold, job.hold_until, job.status) == (Hold.NONE, None, Status.QUEUED)
    job.max_retries = 0
    job.save()
    job.refresh_from_db()
    assert job.hold == Hold.EXHAUSTED


@pytest.mark.parametrize("status", list(Status))
def test_a_row_may_be_created_in_any_status_and_gets_the_timestamps_it_implies(status: Status) -> None:
    single = ContainerJob.objects.create(command="true", status=status)
    [bulk] = ContainerJob.objects.bulk_create([ContainerJob(command="true", status=status)])
    for job in (single, ContainerJob.objects.get(pk=bulk.pk)):
        assert (job.queued_at is not None) == (status not in (Status.PENDING, Status.CANCELLED))
        assert (job.launched_at is not None) == (status in (Status.LAUNCHING, Status.RUNNING, Status.COMPLETED))
        assert (job.finished_at is not None) == (status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED))


def test_queued_at_makes_a_new_row_queued_and_launched_at_contradicts_it() -> None:
    assert ContainerJob.objects.create(command="true", queued_at=timezone.now()).status == Status.QUEUED
    with pytest.raises(JobValidationError):
        ContainerJob.objects.create(command="true", status=Status.QUEUED, launched_at=timezone.now())


@pytest.mark.parametrize(
    "values",
    [
        {"status": Status.RUNNING},
        {"status": Status.QUEUED},
        {"queued_at": timezone.now()},
        {"priority": 101},
        {"status": "nonsense"},
    ],
)
def test_the_database_refuses_rows_that_contradict_themselves(values: dict[str, Any]) -> None:
    job = ContainerJob.objects.create(command="true")
    with pytest.raises(DatabaseError), transaction.atomic():
        ContainerJob.objects.filter(pk=job.pk).update(**values)


def test_the_state_methods_walk_the_table() -> None:
    job = ContainerJob.objects.create(command="true")
    assert job.can_transition_to(Status.QUEUED)
    assert not job.can_transition_to(Status.RUNNING)
    job.mark_as_queued()
    job.mark_as_running()
    assert job.launched_at is not None
    job.mark_as_completed()
    assert job.finished_at is not None
    assert [event.verb for event in job.events.all()] == ["queue", "claim", "start", "complete"]
    with pytest.raises(InvalidTransitionError, match="final"):
        job.mark_as_failed()


def test_an_end_by_hand_closes_the_attempt(host: ExecutorHost) -> None:
    job = running(host)
    job.mark_as_failed("gave up")
    attempt = JobAttempt.objects.get(job=job)
    assert (attempt.active_job, job.error) == (None, "gave up")
    assert attempt.finished_at is not None


def test_an_active_job_is_not_deleted(host: ExecutorHost) -> None:
    job = running(host)
    for delete in (job.delete, ContainerJob.objects.filter(pk=job.pk).delete):
        with pytest.raises(JobActiveError, match="Cancel it first"):
            delete()
    with pytest.raises(ProtectedError):
        super(type(ContainerJob.objects.all()), ContainerJob.objects.filter(pk=job.pk)).delete()
    assert ContainerJob.objects.filter(pk=job.pk).exists()


def test_a_finished_job_is_deleted_with_all_that_is_its_own(host: ExecutorHost) -> None:
    job = running(host)
    JobLog.objects.create(attempt=JobAttempt.objects.get(job=job), sequence=0, data=b"x")
    job.mark_as_completed()
    job.delete()
    for model in (ContainerJob, JobAttempt, JobEvent, JobLog):
        assert not model._default_manager.exists()


def test_a_second_open_attempt_is_an_error_of_the_database(host: ExecutorHost) -> None:
    job = running(host)
    with pytest.raises(IntegrityError), transaction.atomic():
        JobAttempt.objects.create(job=job, active_job=job, number=2, host=host, launched_at=timezone.now())


def test_an_instance_of_some_columns_is_saved_like_any_other(host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command="true")
    later = timezone.now() + timedelta(hours=1)
    partial = ContainerJob.objects.only("name").get(pk=job.pk)
    partial.name, partial.scheduled_for = "n", later
    partial.save()
    job.refresh_from_db()
    assert (job.name, job.scheduled_for, job.hold, job.status) == ("n", later, Hold.SCHEDULE, Status.QUEUED)
    without_status = ContainerJob.objects.defer("status").get(pk=job.pk)
    without_status.status = Status.PENDING
    without_status.save()
    job.refresh_from_db()
    assert (job.status, job.queued_at, job.hold) == (Status.PENDING, None, Hold.NONE)


def test_a_copy_of_an_instance_remembers_what_it_loaded_for_itself() -> None:
    job = ContainerJob.objects.create(command="true")
    for duplicate in (copy.copy(job), copy.deepcopy(job), pickle.loads(pickle.dumps(job))):  # noqa: S301 - our own
        duplicate.mark_as_queued()
        job.name += "x"
        job.save()
        row = ContainerJob.objects.get(pk=job.pk)
        assert (row.status, row.name) == (Status.QUEUED, job.name)
        duplicate.transition_to(Status.PENDING)


def test_a_row_is_copied_as_django_says() -> None:
    job = ContainerJob.objects.create(command="true", status=Status.COMPLETED)
    original = job.pk
    job.pk, job._state.adding, job.status, job.queued_at, job.launched_at = None, True, Status.PENDING, None, None
    job.save()
    assert job.pk != original
    assert ContainerJob.objects.filter(status=Status.PENDING).get() == job


def test_update_fields_writes_those_and_no_others() -> None:
    job = ContainerJob.objects.create(command="true")
    job.name, job.status, job.scheduled_for = "n", Status.QUEUED, timezone.now()
    job.save(update_fields=["name"])
    row = ContainerJob.objects.get(pk=job.pk)
    assert (row.name, row.status, row.scheduled_for) == ("n", Status.PENDING, None)
    job.save(update_fields=["status"])
    row = ContainerJob.objects.get(pk=job.pk)
    assert row.status == Status.QUEUED
    assert row.events.count() == 1


def test_a_change_that_loses_against_a_claim_is_refused(host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command="true")
    stale = ContainerJob.objects.get(pk=job.pk)
    queue_manager.launch_job(job)
    stale.scheduled_for = timezone.now() + timedelta(hours=1)
    with pytest.raises(InvalidTransitionError):
        stale.save()
    job.refresh_from_db()
    assert (job.status, job.scheduled_for, job.hold) == (Status.RUNNING, None, Hold.NONE)


@pytest.mark.parametrize("way", ["transition_to", "mark_as_queued", "save", "queue_job", "queue_jobs"])
def test_a_failed_job_starts_afresh_whichever_way_it_is_queued(way: str) -> None:
    job = ContainerJob.objects.create(
        command="true", status=Status.FAILED, queued_at=timezone.now() - timedelta(days=1), launched_at=timezone.now(),
        retry_count=3, rerun_count=1, infra_rerun_count=2, rescue_count=1, exit_code=1, outcome="app_error",
        error="x", attempt=6, cancel_requested_at=timezone.now(), result={"a": 1}, progress=50,
        queue_timeout_seconds=60,
    )  # fmt: skip
    if way == "save":
        job.status = Status.QUEUED
        job.save()
    elif way == "queue_jobs":
        queue_manager.queue_jobs([job])
    elif way == "queue_job":
        queue_manager.queue_job(job)
    elif way == "transition_to":
        job.transition_to(Status.QUEUED)
    else:
        job.mark_as_queued()
    row = ContainerJob.objects.get(pk=job.pk)
    assert row.guarded_changes() == {}
    for found in (row, job):
        assert (found.status, found.hold, found.attempt) == (Status.QUEUED, Hold.NONE, 6)
        assert (found.retry_count, found.rerun_count, found.infra_rerun_count, found.rescue_count) == (0, 0, 0, 0)
        assert (found.exit_code, found.outcome, found.error, found.result, found.progress) == (None, "", "", None, None)
        assert (found.launched_at, found.finished_at, found.cancel_requested_at) == (None, None, None)
        assert found.queued_at is not None
        assert timezone.now() - found.queued_at < timedelta(minutes=1)
        assert found.expires_at == found.queued_at + timedelta(seconds=60)
    assert [event.verb for event in row.events.all()] == ["queue"]


@pytest.mark.parametrize("way", ["queue_job", "queue_jobs", "mark_as_queued"])
def test_the_hold_agrees_with_what_it_was_judged_by_even_where_that_was_not_saved(way: str) -> None:
    for max_retries, hold in ((0, Hold.EXHAUSTED), (5, Hold.NONE)):
        job = ContainerJob.objects.create(command="true", max_retries=0 if max_retries else 3)
        job.max_retries = max_retries
        if way == "queue_jobs":
            queue_manager.queue_jobs([job])
        elif way == "queue_job":
            queue_manager.queue_job(job)
        else:
            job.mark_as_queued()
        row = ContainerJob.objects.get(pk=job.pk)
        assert (row.max_retries, row.hold) == (max_retries, hold)


def test_a_dequeued_job_forgets_what_held_it() -> None:
    later = timezone.now() + timedelta(hours=1)
    job = queue_manager.queue_job(ContainerJob(command="true", queue_timeout_seconds=5), schedule_for=later)
    assert job.expires_at == later + timedelta(seconds=5)
    queue_manager.dequeue_job(job)
    row = ContainerJob.objects.get(pk=job.pk)
    assert (row.hold, row.hold_until, row.expires_at, row.scheduled_for) == (Hold.NONE, None, None, None)


def test_an_active_job_is_protected_where_it_is_reached_from_elsewhere(host: ExecutorHost) -> None:
    running(host)
    with pytest.raises(ProtectedError):
        host.delete()


@pytest.mark.django_db(transaction=True)
def test_the_database_itself_keeps_the_row_of_an_active_job(host: ExecutorHost) -> None:
    job = running(host)
    quoted = connection.ops.quote_name(ContainerJob._meta.db_table)
    # SQLite looks at foreign keys at the commit only.
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {quoted}")  # noqa: S608 - our own name
    assert ContainerJob.objects.filter(pk=job.pk).exists()
