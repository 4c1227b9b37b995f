"""What queueing costs in statements, and that one statement writes what several would."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager import claiming, queue_manager
from container_manager.exceptions import DuplicateJobError
from container_manager.models import ContainerJob, EnvironmentTemplate, ExecutorHost, JobAttempt, JobEvent
from container_manager.states import Hold, Status

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_new_job_is_queued_by_one_statement_on_postgresql() -> None:
    with CaptureQueriesContext(connection) as captured:
        job = queue_manager.create_and_queue(command="true")
    assert len(captured) == 1 if connection.vendor == "postgresql" else len(captured) <= 4
    assert ContainerJob.objects.get() == job
    assert [event.verb for event in job.events.all()] == ["queue"]


def test_the_four_counts_of_the_queue_are_one_statement() -> None:
    queue_manager.queue_jobs([ContainerJob(command="true"), ContainerJob(command="true", max_retries=0)])
    with CaptureQueriesContext(connection) as captured:
        stats = queue_manager.get_queue_stats()
    assert len(captured) == 1
    assert stats == {"queued": 1, "scheduled": 0, "running": 0, "launch_failed": 1}


def test_a_saved_job_is_queued_by_one_guarded_statement_on_postgresql() -> None:
    job = ContainerJob.objects.create(command="true")
    with CaptureQueriesContext(connection) as captured:
        queue_manager.queue_job(job)
    # The move, and the fresh look at its row.
    assert len(captured) <= (2 if connection.vendor == "postgresql" else 5)
    assert [event.verb for event in job.events.all()] == ["queue"]


def test_a_claim_is_three_statements_on_postgresql_and_its_jobs_are_as_their_rows(host: ExecutorHost) -> None:
    fields: list[dict[str, Any]] = [{"priority": 10}, {"labels": {"team": "é"}, "environment": {"A": "%s"}}, {}]
    jobs = queue_manager.queue_jobs([ContainerJob(command=["echo", "a b"], **more) for more in fields])
    with CaptureQueriesContext(connection) as captured:
        claims = claiming.claim(host, uuid7(), queue="default", limit=2, using="default")
    if connection.vendor == "postgresql":
        assert len([query for query in captured if query["sql"] not in ("BEGIN", "COMMIT")]) == 3
    assert [claim.job for claim in claims] == [jobs[1], jobs[2]], "best first"
    for claim in claims:
        attempt = JobAttempt.objects.get(pk=claim.attempt_id)
        assert (attempt.job_id, attempt.number, attempt.worker) == (claim.job.pk, claim.number, claim.worker)
        assert [event.verb for event in claim.job.events.all()] == ["queue", "claim"]
        assert not claim.job.guarded_changes()
        row = ContainerJob.objects.get(pk=claim.job.pk)
        for field in ContainerJob._meta.concrete_fields:
            if connection.vendor == "postgresql" or field.name != "launched_at":  # the database's clock
                assert getattr(row, field.attname) == getattr(claim.job, field.attname), field.name


def test_ten_thousand_jobs_are_queued_as_they_are_each_with_its_event() -> None:
    later = timezone.now() + timedelta(hours=1)
    template = EnvironmentTemplate.objects.create(name="base", environment={"A": "1"})
    specifications: list[dict[str, Any]] = [
        {"command": ["echo", "a b", "\\", '"', "{}", "NULL", ""], "priority": 90, "labels": {"team": "é\N{SNOWMAN}"}},
        {"command": "", "image": "busybox", "memory_limit": 64, "cpu_limit": 0.25, "environment_template": template},
        {"command": "true", "scheduled_for": later, "environment": {"K": "'; DROP TABLE x; --"}, "shell": True},
    ]
    jobs = [ContainerJob(**specifications[number % 3]) for number in range(10_000)]
    with CaptureQueriesContext(connection) as captured:
        queue_manager.queue_jobs(jobs)
    # One of them reads the hosts: some jobs ask for memory and processors, which a host may bound.
    assert connection.vendor != "postgresql" or len(captured) <= 7
    assert ContainerJob.objects.count() == JobEvent.objects.count() == 10_000
    for job in jobs[-3:]:
        row = ContainerJob.objects.get(pk=job.pk)
        for field in ContainerJob._meta.concrete_fields:
            assert getattr(row, field.attname) == getattr(job, field.attname), field.name
        assert not job.guarded_changes()
        assert not job._state.adding
    assert [job.hold for job in jobs[:3]] == [Hold.NONE, Hold.NONE, Hold.SCHEDULE]
    assert list(queue_manager.get_ready_jobs(limit=2)) == [jobs[0], jobs[3]]


def test_a_group_that_cannot_be_inserted_leaves_nothing() -> None:
    queue_manager.create_and_queue(command="true", unique_key="a")
    jobs = [ContainerJob(command="true", unique_key=key) for key in ("b", "a", None)]
    with pytest.raises(DuplicateJobError):
        queue_manager.queue_jobs(jobs)
    assert ContainerJob.objects.count() == JobEvent.objects.count() == 1
    assert all(job._state.adding for job in jobs)


def test_receivers_of_saving_hear_of_a_job_that_is_created_and_queued() -> None:
    heard: list[tuple[Any, bool]] = []

    def receive(instance: Any, created: bool, **_: Any) -> None:
        heard.append((instance.pk, created))

    post_save.connect(receive, sender=ContainerJob)
    try:
        job = queue_manager.create_and_queue(command="true")
    finally:
        post_save.disconnect(receive, sender=ContainerJob)
    assert heard == [(job.pk, True)]


def test_a_rollback_takes_the_job_and_its_event_with_it() -> None:
    with transaction.atomic():
        queue_manager.create_and_queue(command="true")
        queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(3)])
        assert ContainerJob.objects.filter(status=Status.QUEUED).count() == 4
        transaction.set_rollback(True)
    assert not ContainerJob.objects.exists()
    assert not JobEvent.objects.exists()
