"""The queue as it was asked for: five methods, their errors, and what each leaves behind. Inside ``TestCase``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import container_manager
from container_manager import queue_manager, services
from container_manager.exceptions import (
    JobAlreadyQueuedError,
    JobNotQueueableError,
    JobNotQueuedError,
    JobValidationError,
    QueueCapacityError,
    QueueError,
)
from container_manager.executors.fake import Script, engine
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.queue import JobQueueManager
from container_manager.queue import queue_manager as module_level
from container_manager.services import LaunchResult
from container_manager.states import Status


def row(job: ContainerJob) -> Any:
    return ContainerJob.objects.filter(pk=job.pk).values().get()


def make_job(**fields: Any) -> ContainerJob:
    return ContainerJob.objects.create(**{"command": "echo hello", **fields})


class QueueTestCase(TestCase):
    def setUp(self) -> None:
        engine("api").reset()
        self.host = ExecutorHost.objects.create(
            name="fake", executor_type="fake", options={"engine": "api"}, max_concurrent_jobs=5
        )

    def tearDown(self) -> None:
        engine("api").reset()


class QueueJobTests(QueueTestCase):
    def test_the_manager_is_one_and_lazy(self) -> None:
        assert container_manager.queue_manager is queue_manager is module_level
        assert isinstance(queue_manager, JobQueueManager)

    def test_a_new_job_needs_only_a_command(self) -> None:
        job = ContainerJob.objects.create(command="echo hello")
        assert (job.status, job.priority, job.max_retries, job.is_queued) == (Status.PENDING, 50, 3, False)

    def test_a_valid_job_is_queued_and_returned(self) -> None:
        job = make_job()
        assert queue_manager.queue_job(job) is job
        assert (job.status, job.is_queued, job.is_ready_to_launch) == (Status.QUEUED, True, True)
        job.refresh_from_db()
        assert job.queued_at is not None
        assert job.launched_at is None

    def test_schedule_and_priority_are_kept(self) -> None:
        later = timezone.now() + timedelta(hours=1)
        job = queue_manager.queue_job(make_job(), schedule_for=later, priority=80)
        job.refresh_from_db()
        assert (job.scheduled_for, job.priority, job.is_ready_to_launch) == (later, 80, False)

    def test_no_schedule_keeps_the_one_it_has(self) -> None:
        later = timezone.now() + timedelta(hours=1)
        job = queue_manager.queue_job(make_job(scheduled_for=later))
        job.refresh_from_db()
        assert job.scheduled_for == later

    def test_a_queued_job_is_refused(self) -> None:
        job = queue_manager.queue_job(make_job())
        before = row(job)
        for instance in (job, ContainerJob.objects.get(pk=job.pk)):
            with pytest.raises(JobAlreadyQueuedError) as caught:
                queue_manager.queue_job(instance, priority=99)
            assert isinstance(caught.value, ValueError)
            assert str(job.pk) in str(caught.value)
        assert row(job) == before

    def test_a_stale_instance_is_refused_too(self) -> None:
        job = make_job()
        stale = ContainerJob.objects.get(pk=job.pk)
        queue_manager.queue_job(job)
        before = row(job)
        with pytest.raises(JobAlreadyQueuedError):
            queue_manager.queue_job(stale)
        assert row(job) == before

    def test_completed_and_cancelled_jobs_are_refused(self) -> None:
        for status in (Status.COMPLETED, Status.CANCELLED):
            job = make_job(status=status)
            before = row(job)
            with pytest.raises(QueueError) as caught:
                queue_manager.queue_job(job)
            assert isinstance(caught.value, ValueError)
            assert "clone_job" in str(caught.value)
            assert row(job) == before

    def test_a_failed_job_starts_afresh(self) -> None:
        job = make_job(status=Status.FAILED, retry_count=3, exit_code=1, outcome="app_error", error="x", attempt=4)
        queue_manager.queue_job(job)
        job.refresh_from_db()
        assert (job.status, job.retry_count, job.launched_at) == (Status.QUEUED, 0, None)
        assert (job.exit_code, job.outcome, job.error, job.finished_at) == (None, "", "", None)
        assert job.attempt == 4, "attempt only grows"

    def test_wrong_specifications_name_the_field_and_write_nothing(self) -> None:
        wrong: list[tuple[str, dict[str, Any]]] = [
            ("command", {"command": ""}),
            ("command", {"command": 'echo "open'}),
            ("command", {"command": ["echo", "a\0b"]}),
            ("environment", {"environment": {"A=B": "x"}}),
            ("environment", {"environment": {"A": "x\0y"}}),
            ("environment", {"environment": {"A": 1}}),
            ("memory_limit", {"memory_limit": -1}),
            ("cpu_limit", {"cpu_limit": -0.5}),
            ("timeout_seconds", {"timeout_seconds": 0}),
            ("labels", {"labels": {"container-manager.job": "x"}}),
            ("queue", {"queue": "no spaces"}),
            ("retry_policy", {"retry_policy": "nonsense"}),
        ]
        for field, values in wrong:
            with self.subTest(field=field, values=values):
                job = ContainerJob(**{"command": "true", **values})
                with pytest.raises(JobValidationError) as caught:
                    queue_manager.queue_job(job)
                assert list(caught.value.message_dict) == [field]
                assert isinstance(caught.value, ValidationError)
                assert isinstance(caught.value, ValueError)
        assert not ContainerJob.objects.exists()

    def test_a_priority_out_of_range_or_a_naive_schedule_changes_nothing(self) -> None:
        job = make_job()
        before = row(job)
        naive = datetime(2030, 1, 1)  # noqa: DTZ001 - the point
        for field, arguments in (
            ("priority", {"priority": 101}),
            ("priority", {"priority": -1}),
            ("scheduled_for", {"schedule_for": naive}),
        ):
            with pytest.raises(JobValidationError) as caught:
                queue_manager.queue_job(job, **arguments)
            assert list(caught.value.message_dict) == [field]
        assert row(job) == before
        assert (job.priority, job.scheduled_for) == (50, None)

    @override_settings(CONTAINER_MANAGER={"MAX_QUEUE_DEPTH": 2})
    def test_the_queue_has_a_limit(self) -> None:
        queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(2)])
        job = make_job()
        with self.assertRaisesMessage(QueueCapacityError, "MAX_QUEUE_DEPTH"):
            queue_manager.queue_job(job)
        job.refresh_from_db()
        assert job.status == Status.PENDING

    def test_a_rollback_queues_nothing(self) -> None:
        job = make_job()
        with transaction.atomic():
            queue_manager.queue_job(job)
            queue_manager.create_and_queue(command="true")
            transaction.set_rollback(True)
        job.refresh_from_db()
        assert job.status == Status.PENDING
        assert ContainerJob.objects.count() == 1
        assert not job.events.exists()

    def test_many_are_queued_in_a_handful_of_statements_and_in_order(self) -> None:
        saved = ContainerJob.objects.bulk_create([ContainerJob(command="true") for _ in range(500)])
        new = [ContainerJob(command="true") for _ in range(500)]
        jobs = [job for pair in zip(saved, new, strict=True) for job in pair]
        with CaptureQueriesContext(connection) as captured:
            queue_manager.queue_jobs(jobs)
        # Django splits an INSERT on SQLite into pieces of 999 parameters.
        assert len(captured) <= (12 if connection.features.max_query_params is None else 60)
        assert list(queue_manager.get_ready_jobs().values_list("pk", flat=True)) == [job.pk for job in jobs]

    def test_many_are_queued_all_or_none(self) -> None:
        good, bad = make_job(), make_job()
        queue_manager.queue_job(ContainerJob.objects.get(pk=bad.pk))
        with pytest.raises(JobAlreadyQueuedError):
            queue_manager.queue_jobs([good, ContainerJob(command="true"), bad])
        good.refresh_from_db()
        assert good.status == Status.PENDING
        assert ContainerJob.objects.count() == 2


class ReadyJobsTests(QueueTestCase):
    def test_priority_first_then_first_in_first_out(self) -> None:
        low, normal, high, also_normal = (
            queue_manager.queue_job(make_job(), priority=priority) for priority in (20, 50, 80, 50)
        )
        assert list(queue_manager.get_ready_jobs()) == [high, normal, also_normal, low]
        assert list(queue_manager.get_ready_jobs(limit=2)) == [high, normal]
        assert list(queue_manager.get_ready_jobs(limit=0)) == []
        assert list(queue_manager.get_ready_jobs(exclude_ids=[high.pk, low.pk])) == [normal, also_normal]
        with pytest.raises(ValueError, match="limit is -1"):
            queue_manager.get_ready_jobs(limit=-1)

    def test_only_what_is_due_and_has_launches_left(self) -> None:
        now = timezone.now()
        past = make_job(queued_at=now, scheduled_for=now - timedelta(minutes=1))
        make_job(queued_at=now, scheduled_for=now + timedelta(hours=1))
        make_job(queued_at=now, retry_count=3, max_retries=3)
        make_job(queued_at=now, launched_at=now)
        make_job(queued_at=now, max_retries=0)
        make_job()
        assert list(queue_manager.get_ready_jobs()) == [past]


class LaunchJobTests(QueueTestCase):
    def test_a_launch_makes_the_job_run(self) -> None:
        job = queue_manager.queue_job(make_job())
        assert queue_manager.launch_job(job) == {"success": True}
        assert (job.status, job.attempt, job.retry_count) == (Status.RUNNING, 1, 0)
        assert job.launched_at is not None
        assert JobAttempt.objects.get(active_job=job).worker is None, "the next worker adopts it"
        assert engine("api").starts == [JobAttempt.objects.get().execution_id]

    def test_a_failed_launch_is_reported_counted_and_tried_three_times_in_all(self) -> None:
        job = queue_manager.queue_job(make_job(command=Script(create_error="transient").command()))
        for failures in (1, 2, 3):
            answer = queue_manager.launch_job(job)
            assert answer["success"] is False
            assert "transient" in answer["error"]
            assert job.retry_count == failures
            assert job.launched_at is None
        assert job.status == Status.FAILED
        answer = queue_manager.launch_job(job)
        assert answer["success"] is False
        assert "only a queued job" in answer["error"]
        assert job.retry_count == 3

    def test_a_back_off_does_not_hold_up_an_explicit_launch(self) -> None:
        job = queue_manager.queue_job(make_job(command=Script(create_error="transient").command()))
        queue_manager.launch_job(job)
        assert job.hold == "backoff"
        assert list(queue_manager.get_ready_jobs()) == [job]

    def test_a_permanent_failure_fails_at_once(self) -> None:
        job = queue_manager.queue_job(make_job(command=Script(create_error="image").command()))
        assert queue_manager.launch_job(job)["success"] is False
        assert (job.status, job.outcome) == (Status.FAILED, "image_error")

    def test_the_service_can_be_replaced(self) -> None:
        job = queue_manager.queue_job(make_job())
        with mock.patch.object(services.job_service, "launch_job", return_value=LaunchResult(success=True)) as launch:
            assert queue_manager.launch_job(job) == {"success": True}
        launch.assert_called_once_with(job)
        assert job.status == Status.RUNNING

    def test_a_service_that_fails_or_raises_is_accounted_for(self) -> None:
        for behaviour in (
            {"return_value": mock.Mock(success=False, error="no luck")},
            {"side_effect": RuntimeError("no luck")},
        ):
            job = queue_manager.queue_job(make_job())
            with mock.patch("container_manager.services.job_service.launch_job", **behaviour):
                answer = queue_manager.launch_job(job)
            assert answer["success"] is False
            assert "no luck" in answer["error"]
            assert "no luck" in job.error
            assert (job.status, job.retry_count, job.launched_at) == (Status.QUEUED, 1, None)
            assert not JobAttempt.objects.filter(active_job=job).exists()

    def test_what_is_not_ready_is_not_launched_and_spends_nothing(self) -> None:
        later = timezone.now() + timedelta(hours=1)
        cancelled = queue_manager.queue_job(make_job())
        queue_manager.cancel_job(ContainerJob.objects.get(pk=cancelled.pk))
        for job, reason in (
            (make_job(), "queue_job"),
            (queue_manager.queue_job(make_job(), schedule_for=later), "scheduled for"),
            (queue_manager.queue_job(make_job(max_retries=0)), "no launch left"),
            (cancelled, "cancelled"),
        ):
            before = row(job)
            answer = queue_manager.launch_job(job)
            assert answer["success"] is False
            assert reason in answer["error"], answer
            assert row(job) == before
        assert engine("api").starts == []

    def test_a_deleted_job_is_not_launched(self) -> None:
        job = queue_manager.queue_job(make_job())
        ContainerJob.objects.filter(pk=job.pk).delete()
        answer = queue_manager.launch_job(job)
        assert answer["success"] is False
        assert "deleted" in answer["error"]

    def test_inside_atomic_nothing_is_launched(self) -> None:
        job = queue_manager.queue_job(make_job())
        before = row(job)
        with transaction.atomic():
            answer = queue_manager.launch_job(job)
        assert answer["success"] is False
        assert "transaction.on_commit" in answer["error"]
        assert row(job) == before
        assert engine("api").starts == []

    def test_a_host_that_is_drained_full_or_unhealthy_says_so_and_spends_no_retry(self) -> None:
        job = queue_manager.queue_job(make_job())
        states: list[tuple[dict[str, Any], str]] = [
            ({"is_active": False}, "drained"),
            ({"max_concurrent_jobs": 0}, "full"),
            ({"retry_at": timezone.now() + timedelta(minutes=1), "health_error": "down"}, "unhealthy"),
            ({"queues": ["other"]}, "No executor host serves"),
        ]
        good = {"is_active": True, "max_concurrent_jobs": 5, "retry_at": None, "queues": ["default"]}
        for state, reason in states:
            ExecutorHost.objects.update(**{**good, **state})
            answer = queue_manager.launch_job(job)
            assert answer["success"] is False
            assert reason in answer["error"]
            assert (job.status, job.retry_count) == (Status.QUEUED, 0)
        ExecutorHost.objects.update(**good)
        assert queue_manager.launch_job(job)["success"]

    @override_settings(CONTAINER_MANAGER={}, DEBUG=False)
    def test_no_host_at_all_says_how_to_add_one(self) -> None:
        ExecutorHost.objects.all().delete()
        answer = queue_manager.launch_job(queue_manager.queue_job(make_job()))
        assert answer["success"] is False
        assert "ExecutorHost.objects.create" in answer["error"]

    def test_launch_ready_launches_what_is_ready(self) -> None:
        queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(4)])
        queue_manager.create_and_queue(command=Script(create_error="image").command(), priority=0)
        assert queue_manager.launch_ready(limit=2) == {"launched": 2, "failed": 0}
        assert queue_manager.launch_ready() == {"launched": 2, "failed": 1}


class DequeueAndStatsTests(QueueTestCase):
    def test_a_dequeued_job_is_pending_again(self) -> None:
        job = queue_manager.queue_job(make_job(), schedule_for=timezone.now() + timedelta(hours=1))
        queue_manager.dequeue_job(job)
        assert (job.status, job.queued_at, job.scheduled_for, job.retry_count) == (Status.PENDING, None, None, 0)
        queue_manager.queue_job(job)
        assert job.is_queued

    def test_a_job_that_failed_without_a_launch_may_be_dequeued(self) -> None:
        job = queue_manager.queue_job(make_job(command=Script(create_error="image").command()))
        queue_manager.launch_job(job)
        queue_manager.dequeue_job(job)
        assert (job.status, job.retry_count) == (Status.PENDING, 0)

    def test_what_is_not_in_the_queue_is_refused(self) -> None:
        launched = queue_manager.queue_job(make_job())
        stale = ContainerJob.objects.get(pk=launched.pk)
        queue_manager.launch_job(launched)
        ran = make_job(status=Status.FAILED, launched_at=timezone.now())
        for job in (make_job(), launched, stale, ran, make_job(status=Status.COMPLETED)):
            before = row(job)
            with pytest.raises(JobNotQueuedError) as caught:
                queue_manager.dequeue_job(job)
            assert isinstance(caught.value, ValueError)
            assert row(job) == before

    def test_stats_are_accurate(self) -> None:
        assert queue_manager.get_queue_stats() == {"queued": 0, "scheduled": 0, "running": 0, "launch_failed": 0}
        now = timezone.now()
        queue_manager.queue_job(make_job())
        queue_manager.queue_job(make_job(), schedule_for=now + timedelta(hours=1))
        make_job(status=Status.RUNNING)
        make_job(queued_at=now, retry_count=3, max_retries=3)
        make_job(status=Status.FAILED)
        make_job(status=Status.FAILED, launched_at=now)
        make_job(status=Status.COMPLETED)
        assert queue_manager.get_queue_stats() == {"queued": 2, "scheduled": 1, "running": 1, "launch_failed": 2}

    def test_only_failed_jobs_are_retried(self) -> None:
        job = make_job(status=Status.FAILED, retry_count=2)
        assert queue_manager.retry_job(job).retry_count == 0
        with pytest.raises(JobNotQueueableError):
            queue_manager.retry_job(make_job())

    def test_a_clone_is_a_new_pending_job(self) -> None:
        job = make_job(command=["a", "b"], environment={"X": "1"}, priority=70, status=Status.COMPLETED, exit_code=0)
        clone = queue_manager.clone_job(job, priority=90)
        assert clone.pk != job.pk
        assert (clone.command, clone.environment, clone.priority) == (["a", "b"], {"X": "1"}, 90)
        assert (clone.status, clone.exit_code, clone.queued_at) == (Status.PENDING, None, None)
        assert queue_manager.clone_job(job).priority == 70
        assert ContainerJob.objects.get(pk=job.pk).status == Status.COMPLETED
