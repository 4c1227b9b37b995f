"""The Docker daemon itself stops and comes back: what died with it has ended, what lived on is collected."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from container_manager import queue_manager
from container_manager.hosts import node_name
from container_manager.models import ContainerJob, ExecutorHost, Installation, JobAttempt
from container_manager.states import TERMINAL, Outcome, Status
from tests.faults.private_dockerd import PrivateDockerd
from tests.faults.starting import start_worker_with
from tests.processes import ending, wait_until
from tests.services import require_service

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    pytest.mark.docker,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    require_service("docker", "its image is copied")
    with ExitStack() as one:
        yield one


def host_of(engine: PrivateDockerd) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="own", executor_type="docker", max_concurrent_jobs=50, node=node_name(),
        options={"base_url": engine.address, "network": "none", "timeout": 5},
    )  # fmt: skip


def sleeping(seconds: float, exit_code: int = 0) -> ContainerJob:
    script = f"echo began; sleep {seconds}; echo ended; exit {exit_code}"
    return ContainerJob(image="busybox:local", command=["sh", "-c", script])


def wait_until_running(count: int) -> None:
    wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).count() == count, what="running jobs")


def wait_until_finished(seconds: float = 90) -> None:
    unfinished = ContainerJob.objects.exclude(status__in=TERMINAL)
    wait_until(lambda: not unfinished.exists(), seconds=seconds, what="every job's terminal state")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_that_die_with_the_engine_end_by_its_word_and_the_worker_goes_on(
    stack: ExitStack, number: signal.Signals
) -> None:
    engine = stack.enter_context(PrivateDockerd())
    host = host_of(engine)
    jobs = queue_manager.queue_jobs([sleeping(120) for _ in range(4)])
    worker = start_worker_with({})
    with ending(worker):
        wait_until_running(4)
        engine.stop(number)
        down = ExecutorHost.objects.filter(pk=host.pk).exclude(health_error="")
        wait_until(down.exists, what="the host to be down")
        late = queue_manager.queue_job(sleeping(0))
        engine.start()
        wait_until_finished()
        for job in jobs:
            job.refresh_from_db()
            assert (job.status, job.outcome, job.attempt) == (Status.FAILED, Outcome.APP_ERROR, 1)
            assert job.exit_code in (137, 143, 255)
            assert job.output() == "began\n"
        late.refresh_from_db()
        assert (late.status, late.retry_count) == (Status.COMPLETED, 0)
        assert worker.poll() is None
        identifier = Installation.current("default").identifier
        wait_until(lambda: not engine.starts(identifier), what="an empty engine")


def test_jobs_that_outlive_the_engine_are_collected_when_it_is_back(stack: ExitStack) -> None:
    engine = stack.enter_context(PrivateDockerd(live_restore=True))
    host = host_of(engine)
    jobs = queue_manager.queue_jobs([sleeping(seconds, exit_code=7) for seconds in (3, 4, 12)])
    worker = start_worker_with({})
    with ending(worker):
        wait_until_running(3)
        engine.stop()
        down = ExecutorHost.objects.filter(pk=host.pk).exclude(health_error="")
        # Two of them end meanwhile.
        wait_until(lambda: down.filter(failures__gte=2).exists(), what="the second look in vain")
        assert JobAttempt.objects.filter(active_job__isnull=False).count() == 3
        engine.start()
        wait_until_finished()
        for job in jobs:
            job.refresh_from_db()
            assert (job.status, job.exit_code, job.attempt, job.output()) == (
                Status.FAILED, 7, 1, "began\nended\n",
            )  # fmt: skip
        assert worker.poll() is None


def test_a_launch_that_the_engines_end_interrupts_costs_no_retry(stack: ExitStack) -> None:
    engine = stack.enter_context(PrivateDockerd())
    host_of(engine)
    jobs = queue_manager.queue_jobs([sleeping(1) for _ in range(12)])
    worker = start_worker_with({}, "--concurrency", "4")
    with ending(worker):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).exists(), what="a running job")
        for _ in range(2):
            engine.stop(signal.SIGKILL)
            engine.start()
        wait_until_finished(120)
    for job in jobs:
        job.refresh_from_db()
        assert job.retry_count == 0
        # Killed with the engine, or untouched.
        assert job.exit_code in (0, 137, 143, 255), (job.outcome, job.error)
    assert not JobAttempt.objects.filter(outcome=Outcome.LOST).exists()
