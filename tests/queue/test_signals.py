"""Events are written with the move, signals are sent after its commit, and a receiver's trouble is its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from container_manager import queue_manager, signals
from container_manager.executors.fake import Script
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard() -> Iterator[list[tuple[str, Any]]]:
    """Every signal, by name, with its job."""
    calls: list[tuple[str, Any]] = []

    def hear(name: str) -> Any:
        return lambda **kwargs: calls.append((name, kwargs["job"]))

    receivers = {name: hear(name) for name in ("job_queued", "job_cancelled", "job_dequeued")}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver, weak=False)
    yield calls
    for name, receiver in receivers.items():
        getattr(signals, name).disconnect(receiver)


def test_a_signal_comes_with_the_job_as_it_was_committed(heard: list[tuple[str, Any]]) -> None:
    job = queue_manager.queue_job(ContainerJob.objects.create(command="true"))
    queue_manager.dequeue_job(job)
    assert [(name, found.pk) for name, found in heard] == [("job_queued", job.pk), ("job_dequeued", job.pk)]


def test_nothing_is_sent_before_the_commit_nor_after_a_rollback(heard: list[tuple[str, Any]]) -> None:
    job = ContainerJob.objects.create(command="true")
    with transaction.atomic():
        queue_manager.queue_job(job)
        assert heard == []
        transaction.set_rollback(True)
    assert heard == []
    assert not job.events.exists()


def test_a_group_is_announced_once_and_each_of_its_jobs_too(heard: list[tuple[str, Any]]) -> None:
    groups: list[list[Any]] = []

    def receive(subjects: list[Any], **_: Any) -> None:
        groups.append(subjects)

    signals.jobs_moved.connect(receive)
    jobs = queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(5)])
    signals.jobs_moved.disconnect(receive)
    assert [[subject.job_id for subject in group] for group in groups] == [[job.pk for job in jobs]]
    assert {found.pk for _, found in heard} == {job.pk for job in jobs}


def test_a_receiver_that_raises_harms_nobody(heard: list[tuple[str, Any]]) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("a receiver's own trouble")

    signals.job_cancelled.connect(fail)
    job = queue_manager.create_and_queue(command="true")
    queue_manager.cancel_job(job)
    signals.job_cancelled.disconnect(fail)
    assert job.status == Status.CANCELLED
    assert ("job_cancelled", job) in heard


def test_each_step_of_a_life_has_its_signal_its_event_and_its_job(host: ExecutorHost) -> None:
    told: list[tuple[str, str]] = []
    receivers = []
    for verb, signal in signals.BY_VERB.items():

        def receive(verb: str, job: ContainerJob, **_: Any) -> None:
            told.append((verb, job.status))

        signal.connect(receive, weak=False)
        receivers.append((verb, signal, receive))
    try:
        job = queue_manager.create_and_queue(command=Script(create_error="transient").command())
        queue_manager.launch_job(job)
        job.command = ["true"]
        job.save()
        queue_manager.launch_job(job)
        job.mark_as_failed("gave up")
        queue_manager.retry_job(job)
        queue_manager.launch_job(job)
        job.mark_as_completed()
    finally:
        for _, signal, receive in receivers:
            signal.disconnect(receive)
    assert told == [
        ("queue", "queued"),
        ("claim", "launching"), ("retry", "queued"),
        ("claim", "launching"), ("start", "running"), ("fail", "failed"),
        ("queue", "queued"),
        ("claim", "launching"), ("start", "running"), ("complete", "completed"),
    ]  # fmt: skip
    events = list(job.events.values_list("verb", "attempt"))
    assert [verb for verb, _ in events] == [verb for verb, _ in told]
    assert [attempt for _, attempt in events] == [0, 1, 1, 2, 2, 2, 2, 3, 3, 3]


def test_a_move_that_is_undone_leaves_no_event(host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command="true")
    queue_manager.launch_job(job)
    before = list(job.events.values_list("pk", flat=True))
    with transaction.atomic():
        job.mark_as_completed()
        assert job.events.count() == len(before) + 1
        transaction.set_rollback(True)
    assert list(job.events.values_list("pk", flat=True)) == before
    row = ContainerJob.objects.get(pk=job.pk)
    assert row.status == Status.RUNNING
    assert row.active_attempt.worker is None, "and the attempt is open again"
