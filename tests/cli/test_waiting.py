"""Why a job waits, in one line, whatever the reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from container_manager import queue_manager
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobEvent, Worker
from container_manager.states import Hold, Verb
from container_manager.waiting import why_it_waits

pytestmark = pytest.mark.django_db


def why(job: ContainerJob) -> str:
    job.refresh_from_db()
    return why_it_waits(job, "default")


def worker_on(*hosts: ExecutorHost, **fields: Any) -> Worker:
    now = timezone.now()
    return Worker.objects.create(
        node="n", process_id=1, started_at=now, heartbeat_at=now, hosts=[host.pk for host in hosts], **fields
    )


def occupy(host: ExecutorHost, count: int, worker: Worker | None = None, **limits: Any) -> Sequence[JobAttempt]:
    jobs = [ContainerJob.objects.create(command="x", status="running", attempt=1) for _ in range(count)]
    return [
        JobAttempt.objects.create(
            job=job, active_job=job, number=1, host=host, launched_at=timezone.now(),
            worker=worker.pk if worker else None, **limits,
        )
        for job in jobs
    ]  # fmt: skip


@pytest.fixture
def job() -> ContainerJob:
    return queue_manager.create_and_queue(command="true")


def test_what_runs_or_has_ended_does_not_wait() -> None:
    for status in ("running", "completed", "failed", "cancelled"):
        assert why(ContainerJob.objects.create(command="x", status=status)) == ""
    assert "not in the queue" in why(ContainerJob.objects.create(command="x"))
    launching = ContainerJob.objects.create(command="x", status="launching", attempt=2)
    assert why(launching) == "It is being launched, attempt 2."
    for attempt, message in ((1, "Pulling a: 90 %."), (2, "Pulling b: 10 %."), (2, "Pulling b: 40 %.")):
        JobEvent.objects.create(job=launching, attempt=attempt, verb=Verb.NOTE, message=message)
    assert why(launching) == "It is being launched, attempt 2. Pulling b: 40 %."


def test_a_hold_is_told_with_its_reason_and_end(settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    later = timezone.now() + timedelta(hours=1)
    scheduled = queue_manager.create_and_queue(command="x", scheduled_for=later)
    assert why(scheduled) == f"It is scheduled for {later:%Y-%m-%d %H:%M:%S} UTC."
    backing_off = ContainerJob.objects.create(
        command="x", status="queued", hold=Hold.BACKOFF, hold_until=later, hold_reason="Launch 1 of 3 failed.",
        error="no such image",
    )  # fmt: skip
    assert (
        why(backing_off) == f"It is tried again at {later:%Y-%m-%d %H:%M:%S} UTC. Launch 1 of 3 failed. no such image"
    )
    assert "max_retries is 0" in why(queue_manager.create_and_queue(command="x", max_retries=0))
    used_up = ContainerJob.objects.create(command="x", status="queued", retry_count=2, max_retries=2)
    assert "its 2 launches have failed" in why(used_up)
    misfit = ContainerJob.objects.create(
        command="x", status="queued", hold=Hold.UNSCHEDULABLE, hold_reason="It needs 9 cores; no host has more than 8."
    )
    assert "9 cores" in why(misfit)


def test_a_hold_that_is_over_is_no_reason() -> None:
    past = timezone.now() - timedelta(hours=1)
    overdue = ContainerJob.objects.create(command="x", status="queued", hold=Hold.SCHEDULE, hold_until=past)
    assert "No worker runs" in why(overdue)


@override_settings(CONTAINER_MANAGER={"ALLOW_PROCESS_EXECUTOR": True})
def test_a_fresh_project_only_lacks_a_worker(job: ContainerJob) -> None:
    assert "No worker runs: start one" in why(job)


@override_settings(CONTAINER_MANAGER={"ALLOW_PROCESS_EXECUTOR": False}, DEBUG=False)
def test_without_local_processes_it_lacks_a_host(job: ContainerJob) -> None:
    assert "There is no executor host" in why(job)


def test_hosts_that_cannot_take_it_are_named(job: ContainerJob) -> None:
    host = ExecutorHost.objects.create(name="docker", executor_type="fake", queues=["media"], max_concurrent_jobs=2)
    assert "No executor host serves the queue 'default'" in why(job)
    ExecutorHost.objects.update(queues=["default"], is_active=False)
    assert why(job) == "Every host of queue 'default' is drained: docker."
    ExecutorHost.objects.update(is_active=True, health_error="connection refused")
    assert "No worker runs" in why(job)
    other = ExecutorHost.objects.create(name="other", executor_type="fake", queues=["media"])
    worker_on(other)
    assert "docker: connection refused" in why(job)
    ExecutorHost.objects.update(health_error="")
    assert "No live worker serves the hosts of queue 'default' (docker)" in why(job)
    worker = worker_on(host)
    assert "It is next" in why(job)
    occupy(host, 2)
    assert "all 2 slots of docker are taken" in why(job)
    ExecutorHost.objects.update(max_concurrent_jobs=5, memory_capacity=100)
    job.memory_limit = 99
    job.save()
    occupy(host, 1, memory_limit=50)
    assert "docker has too little CPU or memory left" in why(job)
    Worker.objects.filter(pk=worker.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert "No live worker serves" in why(job)


def test_a_host_of_a_node_is_told_with_the_node(job: ContainerJob) -> None:
    ExecutorHost.objects.create(name="far", executor_type="process", node="gpu-1")
    worker_on()
    assert "on gpu-1" in why(job)


def test_workers_with_full_hands_are_a_reason(job: ContainerJob) -> None:
    host = ExecutorHost.objects.create(name="docker", executor_type="fake")
    worker = worker_on(host, concurrency=1)
    occupy(host, 1, worker)
    assert "--concurrency" in why(job)
    worker_on(host, concurrency=1)
    assert "It is next" in why(job)


def test_a_job_knows_its_place_in_its_own_queue() -> None:
    worker_on(ExecutorHost.objects.create(name="docker", executor_type="fake", queues=["default", "media"]))
    first, second = (queue_manager.create_and_queue(command="x") for _ in range(2))
    assert "It is next" in why(first)
    assert why(second) == "1 job is ahead of it in queue 'default'."
    queue_manager.create_and_queue(command="x", queue="media", priority=90)
    queue_manager.create_and_queue(command="x", scheduled_for=timezone.now() + timedelta(hours=1), priority=90)
    assert "1 job is" in why(second)
    queue_manager.create_and_queue(command="x", priority=90)
    assert "2 jobs are" in why(second)
