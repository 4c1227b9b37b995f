"""Cancelling, alone and in the middle of a launch; launches of unknown end; waiting for an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.db import connections, transaction
from uuid_utils.compat import uuid7

from container_manager import claiming, queue_manager
from container_manager.exceptions import (
    InvalidTransitionError,
    JobFailedError,
    JobNotFoundError,
    JobWaitTimeoutError,
)
from container_manager.executors.fake import FakeEngine, FakeExecutor, Script
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, Worker
from container_manager.services import LaunchResult
from container_manager.services.output import OutputWriter, store_output
from container_manager.specs import LogBatch, LogEntry, Stream
from container_manager.states import Outcome, Status, Verb

pytestmark = pytest.mark.django_db

LAUNCH = "container_manager.services.job_service.launch_job"


def queued(**fields: Any) -> ContainerJob:
    return queue_manager.create_and_queue(**{"command": "true", **fields})


@pytest.mark.parametrize("status", [Status.PENDING, Status.QUEUED])
def test_a_job_that_has_not_begun_is_cancelled_at_once(status: Status) -> None:
    job = ContainerJob.objects.create(command="true", status=status)
    assert queue_manager.cancel_job(job, actor="ada") is job
    assert (job.status, job.outcome) == (Status.CANCELLED, Outcome.CANCELLED)
    assert job.finished_at is not None
    event = job.events.get()
    assert (event.verb, event.actor) == (Verb.CANCEL, "ada")


def test_a_running_job_is_asked_to_stop_once(host: ExecutorHost) -> None:
    job = queued()
    queue_manager.launch_job(job)
    stale = ContainerJob.objects.get(pk=job.pk)
    queue_manager.cancel_job(job)
    asked = job.cancel_requested_at
    queue_manager.cancel_job(stale)
    assert (stale.status, stale.cancel_requested_at) == (Status.RUNNING, asked)
    assert asked is not None
    assert JobAttempt.objects.get(active_job=job).stop_requested == "cancel"
    assert job.events.filter(verb=Verb.STOP).count() == 1


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_what_has_ended_cannot_be_cancelled(status: Status) -> None:
    job = ContainerJob.objects.create(command="true", status=status)
    with pytest.raises(InvalidTransitionError, match="ended already"):
        queue_manager.cancel_job(job)
    job.refresh_from_db()
    assert job.status == status
    assert not job.events.exists()


def test_a_deleted_job_cannot_be_cancelled_nor_queued() -> None:
    job = ContainerJob.objects.create(command="true")
    ContainerJob.objects.filter(pk=job.pk).delete()
    with pytest.raises(JobNotFoundError, match="nothing to cancel"):
        queue_manager.cancel_job(job)
    with pytest.raises(JobNotFoundError, match="deleted"):
        queue_manager.queue_job(job)


def during_the_launch(job: ContainerJob, result: LaunchResult) -> Callable[[Any], LaunchResult]:
    def launch(_: Any) -> LaunchResult:
        queue_manager.cancel_job(ContainerJob.objects.get(pk=job.pk))
        return result

    return launch


@pytest.mark.parametrize("max_retries", [3, 1])
def test_a_job_cancelled_while_its_launch_fails_is_cancelled_and_not_tried_again(
    host: ExecutorHost, max_retries: int
) -> None:
    job = queued(max_retries=max_retries)
    failure = LaunchResult(success=False, error="no luck")
    with mock.patch(LAUNCH, side_effect=during_the_launch(job, failure)):
        answer = queue_manager.launch_job(job)
    assert answer == {"success": False, "error": "no luck"}
    assert (job.status, job.retry_count, job.outcome) == (Status.CANCELLED, 0, Outcome.CANCELLED)
    assert not JobAttempt.objects.filter(active_job__isnull=False).exists()


def test_a_job_cancelled_while_it_starts_runs_and_is_to_be_stopped(host: ExecutorHost) -> None:
    job = queued()
    with mock.patch(LAUNCH, side_effect=during_the_launch(job, LaunchResult(success=True))):
        assert queue_manager.launch_job(job) == {"success": True}
    assert job.status == Status.RUNNING
    assert JobAttempt.objects.get(active_job=job).stop_requested == "cancel"


def test_a_job_cancelled_before_its_start_is_not_started(
    host: ExecutorHost, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queued()
    create = FakeExecutor.create

    def create_then_cancel(self: FakeExecutor, spec: Any) -> Any:
        handle = create(self, spec)
        queue_manager.cancel_job(ContainerJob.objects.get(pk=job.pk))
        return handle

    monkeypatch.setattr(FakeExecutor, "create", create_then_cancel)
    answer = queue_manager.launch_job(job)
    assert answer["success"] is False
    assert "cancelled" in answer["error"]
    assert (job.status, job.retry_count) == (Status.CANCELLED, 0)
    assert fake_engine.starts == []


def test_a_start_that_failed_for_certain_is_taken_back_and_counted(host: ExecutorHost, fake_engine: FakeEngine) -> None:
    job = queued(command=Script(start_error="unavailable").command())
    assert queue_manager.launch_job(job)["success"] is False
    assert (job.status, job.retry_count, job.attempt) == (Status.QUEUED, 1, 1)
    assert fake_engine.executions == {}


def test_a_start_of_unknown_end_is_left_to_a_worker_and_spends_nothing(
    host: ExecutorHost, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = FakeExecutor.start

    def start_and_go_away(self: FakeExecutor, handle: Any) -> None:
        start(self, handle)
        fake_engine.is_reachable = False
        self.check()

    monkeypatch.setattr(FakeExecutor, "start", start_and_go_away)
    job = queued()
    answer = queue_manager.launch_job(job)
    assert answer["success"] is False
    assert "a worker will look" in answer["error"]
    assert (job.status, job.retry_count) == (Status.LAUNCHING, 0)
    attempt = JobAttempt.objects.get(active_job=job)
    assert Worker.objects.get().pk == attempt.worker, "whose age says when it may be taken over"


def test_a_start_that_succeeded_though_it_said_otherwise_is_a_success(
    host: ExecutorHost, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = FakeExecutor.start

    def start_and_time_out(self: FakeExecutor, handle: Any) -> None:
        start(self, handle)
        fake_engine.is_reachable = False
        try:
            self.check()
        finally:
            fake_engine.is_reachable = True

    monkeypatch.setattr(FakeExecutor, "start", start_and_time_out)
    job = queued()
    assert queue_manager.launch_job(job) == {"success": True}
    assert job.status == Status.RUNNING
    assert not Worker.objects.exists()


def test_an_engine_out_of_reach_is_a_failed_launch(host: ExecutorHost, fake_engine: FakeEngine) -> None:
    fake_engine.is_reachable = False
    job = queued()
    answer = queue_manager.launch_job(job)
    assert "unreachable" in answer["error"]
    assert (job.status, job.retry_count, job.outcome) == (Status.QUEUED, 1, Outcome.INFRA_ERROR)


@pytest.mark.parametrize("error", [KeyError("x"), OSError("disk"), ValueError("\0 odd"), AssertionError()])
def test_whatever_an_executor_raises_the_job_is_accounted_for(
    host: ExecutorHost, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(FakeExecutor, "create", mock.Mock(side_effect=error))
    job = queued(max_retries=2)
    for _ in range(2):
        answer = queue_manager.launch_job(job)
        assert answer["success"] is False
        assert type(error).__name__ in answer["error"]
    assert (job.status, job.retry_count, job.attempt, job.launched_at) == (Status.FAILED, 2, 2, None)
    assert type(error).__name__ in job.error
    assert not JobAttempt.objects.filter(active_job__isnull=False).exists()
    assert queue_manager.get_queue_stats()["launch_failed"] == 1


def test_a_host_whose_executor_is_unknown_fails_the_launch_with_the_nearest_name(host: ExecutorHost) -> None:
    ExecutorHost.objects.update(executor_type="dokcer")
    job = queued()
    answer = queue_manager.launch_job(job)
    assert "Did you mean 'docker'" in answer["error"]
    assert (job.status, job.outcome) == (Status.FAILED, Outcome.CONFIG_ERROR)


def test_a_job_too_big_for_its_host_is_refused_and_spends_nothing(host: ExecutorHost) -> None:
    ExecutorHost.objects.update(memory_capacity=100)
    job = queued(memory_limit=200)
    answer = queue_manager.launch_job(job)
    assert "does not fit" in answer["error"]
    assert (job.status, job.retry_count, job.attempt) == (Status.QUEUED, 0, 0)


def test_a_pinned_job_is_launched_on_its_host_and_nowhere_else(host: ExecutorHost) -> None:
    ExecutorHost.objects.create(name="heavy", executor_type="fake", options={"engine": "heavy"}, weight=900)
    job = queued(queue="host:fake")
    assert queue_manager.launch_job(job) == {"success": True}
    assert JobAttempt.objects.get().host == host
    anywhere = queued()
    queue_manager.launch_job(anywhere)
    assert JobAttempt.objects.get(job=anywhere).host.name == "heavy"
    nowhere = queued(queue="host:absent")
    assert "host:absent" in queue_manager.launch_job(nowhere)["error"]


@pytest.mark.django_db(transaction=True)
def test_waiting_returns_the_completed_job_or_says_how_it_ended(host: ExecutorHost) -> None:
    job, failing = queued(), queued(command="false")
    claims = {claim.job.pk: claim for claim in claiming.claim(host, uuid7(), queue="default", limit=2, using="default")}
    for claim in claims.values():
        claim.job.transition_to(Status.RUNNING)
    with pytest.raises(JobWaitTimeoutError) as late:
        queue_manager.wait_for(job, timeout=0.05)
    assert isinstance(late.value, TimeoutError)

    def end() -> None:
        claims[job.pk].job.mark_as_completed()
        connections.close_all()

    ending = threading.Timer(0.1, end)
    ending.start()
    assert queue_manager.wait_for(job, timeout=30).status == Status.COMPLETED
    ending.join()

    claim = claims[failing.pk]
    write = OutputWriter(claim.attempt_id).take(LogBatch((LogEntry(Stream.STDERR, b"what went wrong\n"),), "1"))
    assert write is not None
    store_output([write], claim.worker, "default")
    claim.job.transition_to(Status.FAILED, exit_code=3, outcome=Outcome.APP_ERROR)
    with pytest.raises(JobFailedError, match="what went wrong") as failed:
        queue_manager.wait_for(failing)
    assert (failed.value.exit_code, failed.value.outcome, failed.value.status) == (3, "app_error", "failed")


@pytest.mark.django_db(transaction=True)
def test_waiting_inside_a_transaction_is_refused() -> None:
    job = ContainerJob.objects.create(command="true")
    with pytest.raises(RuntimeError, match="after the commit"), transaction.atomic():
        queue_manager.wait_for(job, timeout=1)
