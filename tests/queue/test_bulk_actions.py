"""One action on many jobs: what is done, what is skipped and why, and who it was."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from container_manager import bulk, queue_manager
from container_manager.bulk import Action
from container_manager.exceptions import (
    JobActiveError,
    JobAlreadyQueuedError,
    JobNotQueueableError,
    JobNotQueuedError,
    JobValidationError,
    QueueCapacityError,
    QueueError,
)
from container_manager.models import ContainerJob, JobEvent
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import Status

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PAGE", 3)


def every() -> JobQuerySet:
    return JobQuerySet(ContainerJob)


def one_in_each_status() -> dict[str, ContainerJob]:
    launched = {Status.FAILED: timezone.now()}
    return {
        status: ContainerJob.objects.create(command="true", status=status, launched_at=launched.get(status))
        for status in Status
    }


def statuses(jobs: dict[str, ContainerJob]) -> dict[str, str]:
    now = dict(every().values_list("pk", "status"))
    return {status: now[job.pk] for status, job in jobs.items() if job.pk in now}


@pytest.mark.parametrize(
    ("action", "moved", "error"),
    [
        (Action.QUEUE, {"pending": "queued", "failed": "queued"}, (JobAlreadyQueuedError, JobNotQueueableError)),
        (Action.RETRY, {"failed": "queued"}, (JobNotQueueableError,)),
        (Action.DEQUEUE, {"queued": "pending"}, (JobNotQueuedError,)),
        (Action.CANCEL, {"pending": "cancelled", "queued": "cancelled"}, (QueueError,)),
    ],
)
def test_each_job_is_done_or_skipped_with_its_reason(
    action: Action, moved: dict[str, str], error: tuple[type[QueueError]]
) -> None:
    jobs = one_in_each_status()
    result = bulk.apply(action, every(), actor="ada")
    assert statuses(jobs) == {status: moved.get(status, status) for status in Status}
    asked = set(moved) | ({"launching", "running"} if action is Action.CANCEL else set())
    assert set(result.done) == {jobs[status].pk for status in asked}
    assert {change.job_id for change in result.skipped} == {
        job.pk for status, job in jobs.items() if status not in asked
    }
    assert all(isinstance(change.error, error) for change in result.skipped)
    events = JobEvent.objects.filter(actor="ada").values_list("job_id", flat=True)
    assert sorted(events) == sorted(result.done)
    assert not result.is_capped


def test_active_jobs_are_asked_to_stop() -> None:
    job = ContainerJob.objects.create(command="true", status="running")
    assert bulk.apply(Action.CANCEL, every(), actor="ada").done == [job.pk]
    job.refresh_from_db()
    assert job.status == Status.RUNNING
    assert job.cancel_requested_at is not None


def test_a_priority_is_set_while_it_matters() -> None:
    jobs = one_in_each_status()
    result = bulk.apply(Action.SET_PRIORITY, every(), actor="ada", priority=80)
    changed = {"pending", "queued", "launching", "running"}
    assert set(result.done) == {jobs[status].pk for status in changed}
    assert set(every().filter(priority=80).values_list("pk", flat=True)) == set(result.done)
    assert JobEvent.objects.filter(actor="ada", message="Priority 80.").count() == len(changed)
    assert [count for _, count in result.reasons()] == [3]


@pytest.mark.parametrize("priority", [None, -1, 101])
def test_a_wrong_priority_changes_nothing(priority: int | None) -> None:
    one_in_each_status()
    with pytest.raises(JobValidationError):
        bulk.apply(Action.SET_PRIORITY, every(), actor="ada", priority=priority)
    assert not every().exclude(priority=50).exists()


def test_deleting_spares_active_jobs_and_says_who_deleted(caplog: pytest.LogCaptureFixture) -> None:
    jobs = one_in_each_status()
    with caplog.at_level(logging.INFO, "container_manager.jobs"):
        result = bulk.apply(Action.DELETE, every(), actor="ada")
    assert set(statuses(jobs)) == {"launching", "running"}
    assert all(isinstance(change.error, JobActiveError) for change in result.skipped)
    said = {UUID(record.__dict__["job"]) for record in caplog.records if record.__dict__["actor"] == "ada"}
    assert said == set(result.done)
    assert len(said) == 5


def test_no_more_than_the_cap_is_touched_and_the_oldest_come_first() -> None:
    jobs = queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(8)])
    result = bulk.apply(Action.CANCEL, every(), actor="ada", cap=4)
    assert result.done == [job.pk for job in jobs[:4]]
    assert result.is_capped
    assert every().filter(status=Status.QUEUED).count() == 4
    assert bulk.apply(Action.CANCEL, every().filter(status=Status.QUEUED), actor="ada", cap=0).done == []


def test_exactly_the_cap_is_not_capped() -> None:
    queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(4)])
    assert not bulk.apply(Action.CANCEL, every(), actor="ada", cap=4).is_capped


def test_one_bad_job_does_not_keep_its_batch_out_of_the_queue() -> None:
    good = [ContainerJob.objects.create(command="true") for _ in range(2)]
    bad = ContainerJob.objects.create(command="")
    result = bulk.apply(Action.QUEUE, every(), actor="ada")
    assert set(result.done) == {job.pk for job in good}
    (skipped,) = result.skipped
    assert (skipped.job_id, type(skipped.error)) == (bad.pk, JobValidationError)


def test_a_full_queue_takes_what_fits_and_says_so_of_the_rest(settings: Any) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "MAX_QUEUE_DEPTH": 4}
    for _ in range(7):
        ContainerJob.objects.create(command="true")
    result = bulk.apply(Action.QUEUE, every(), actor="ada")
    assert len(result.done) == 4
    assert [type(change.error) for change in result.skipped] == [QueueCapacityError] * 3
    assert every().filter(status=Status.QUEUED).count() == 4


def test_a_batch_costs_a_few_statements_however_many_jobs_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PAGE", 500)
    for action in (Action.QUEUE, Action.DEQUEUE, Action.SET_PRIORITY, Action.CANCEL, Action.DELETE):
        if action is Action.QUEUE:
            ContainerJob.objects.bulk_create([ContainerJob(command="true") for _ in range(300)])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(bulk.apply(action, every(), actor="ada", priority=60).done) == 300
        assert len(queries) < 30, action
