"""Jobs on a real cluster through a worker process: how they end, their output, and what they leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from container_manager import queue_manager
from container_manager.executors.kubernetes import KubernetesExecutor
from container_manager.models import ContainerJob, ExecutorHost, Installation
from container_manager.states import Outcome, Status, Verb
from tests.executors.kubernetes.running import IMAGE, clear, host_options
from tests.processes import ending, spawn_worker, wait_until

pytestmark = [pytest.mark.kubernetes, pytest.mark.django_db(transaction=True), pytest.mark.slow]

HUNGRY = ("awk", 'BEGIN { x = "xxxxxxxxxxxxxxxx"; while (1) x = x x }')
"""It is the program itself that needs the memory, not a child of a shell."""


@pytest.fixture
def host(transactional_db: None) -> Iterator[ExecutorHost]:
    yield ExecutorHost.objects.create(
        name="cluster", executor_type="kubernetes", options=host_options(pull_policy="never"), max_concurrent_jobs=20
    )
    executor = KubernetesExecutor(host_options(), installation=Installation.current("default").identifier)
    clear(executor)
    executor.close()


def queue(script: str, **fields: Any) -> ContainerJob:
    return queue_manager.create_and_queue(command=["sh", "-c", script], image=IMAGE, **fields)


def drain(**settings: str) -> None:
    """``containers worker --drain`` has ended well."""
    worker = spawn_worker("--drain", "--poll-interval", "0.1", environment=settings)
    with ending(worker):
        said, _ = worker.communicate(timeout=240)
        assert worker.returncode == 0, said


def ended(job: ContainerJob) -> ContainerJob:
    job.refresh_from_db()
    return job


def left(host: ExecutorHost) -> list[str]:
    """Names of all Jobs of this database's installation."""
    executor = KubernetesExecutor(host.options, installation=Installation.current("default").identifier)
    try:
        return [seen.handle.name for seen in executor.observe()]
    finally:
        executor.close()


def test_jobs_end_as_their_programs_and_the_cluster_say_and_leave_nothing(host: ExecutorHost) -> None:
    good = [queue(f"echo line {number}; exit 0") for number in range(3)]
    bad = queue("echo no luck >&2; exit 3")
    absent = queue_manager.create_and_queue(command="no-such-program", image=IMAGE)
    greedy = queue_manager.create_and_queue(command=list(HUNGRY), image=IMAGE, memory_limit=32)
    unknown = queue_manager.create_and_queue(command="true", image="no-such-image:here")
    slow = queue("echo began; trap 'echo stopping; exit 9' TERM; while :; do sleep 0.2; done", timeout_seconds=20)
    drain()

    for number, job in enumerate(map(ended, good)):
        assert (job.status, job.exit_code, job.outcome) == (Status.COMPLETED, 0, Outcome.OK), job.error
        assert job.output() == f"line {number}\n"
        attempt = job.attempts.get()
        assert attempt.started_at is not None
        assert attempt.engine_finished_at is not None
    assert (ended(bad).status, bad.exit_code, bad.outcome) == (Status.FAILED, 3, Outcome.APP_ERROR)
    assert bad.output() == "no luck\n"
    assert (ended(absent).status, absent.outcome) == (Status.FAILED, Outcome.CONFIG_ERROR)
    assert (ended(greedy).status, greedy.outcome, greedy.exit_code) == (Status.FAILED, Outcome.OOM, 137)
    assert (ended(unknown).status, unknown.outcome, unknown.attempt) == (Status.FAILED, Outcome.IMAGE_ERROR, 1)
    assert "ErrImageNeverPull" in unknown.error
    assert (ended(slow).status, slow.outcome) == (Status.FAILED, Outcome.TIMEOUT), slow.error
    assert slow.output() == "began\nstopping\n"
    assert left(host) == []


def test_a_running_job_is_read_live_and_cancelled(host: ExecutorHost) -> None:
    job = queue("echo began; trap 'echo last words; exit 7' TERM; while :; do sleep 0.2; done")
    worker = spawn_worker("--poll-interval", "0.1")
    with ending(worker):
        wait_until(lambda: "began" in ended(job).output(), seconds=120, what="the first line")
        assert job.status == Status.RUNNING
        queue_manager.cancel_job(job)
        wait_until(lambda: ended(job).status == Status.CANCELLED, seconds=120, what="the cancellation")
        worker.terminate()
        assert worker.wait(timeout=60) == 0
    assert (job.exit_code, job.outcome) == (7, Outcome.CANCELLED)
    assert job.output() == "began\nlast words\n"
    assert left(host) == []


def test_a_job_that_fits_no_node_waits_with_the_reason_in_its_timeline(host: ExecutorHost) -> None:
    job = queue("true", memory_limit=10_000_000)
    worker = spawn_worker("--poll-interval", "0.1")
    notes = job.events.filter(verb=Verb.NOTE)
    with ending(worker):
        wait_until(lambda: notes.filter(message__contains="Insufficient memory").exists(), what="the reason")
        assert ended(job).status == Status.RUNNING
        queue_manager.cancel_job(job)
        wait_until(lambda: ended(job).status == Status.CANCELLED, seconds=120, what="the cancellation")
        worker.terminate()
        assert worker.wait(timeout=60) == 0
    assert notes.filter(message__contains="Insufficient memory").count() == 1
    assert left(host) == []
