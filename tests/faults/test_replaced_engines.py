"""Another engine at a host's address: it knows none of the host's executions, and nothing follows from that."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from container_manager import queue_manager
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobEvent
from container_manager.states import Status, Verb
from tests.executors.docker.running import ADDRESS
from tests.faults.conftest import Bench, ProcessBench
from tests.faults.private_dockerd import PrivateDockerd
from tests.faults.test_kills import start_worker
from tests.processes import ending, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

UNHEALTHY = ExecutorHost.objects.filter(health_error__contains="Another engine answers")


def is_running() -> bool:
    return ContainerJob.objects.filter(status=Status.RUNNING).exists()


@contextmanager
def another_engine_at_the_address(bench: Bench) -> Iterator[None]:
    """Meanwhile another state directory, or another Docker engine, is where the host's own was."""
    if isinstance(bench, ProcessBench):
        state = Path(bench.host.options["state_directory"])
        aside = state.with_name("aside")
        state.rename(aside)
        try:
            yield
        finally:
            shutil.rmtree(state, ignore_errors=True)
            aside.rename(state)
        return
    address = Path(bench.host.options["base_url"].removeprefix("unix://"))
    own = address.readlink()
    with PrivateDockerd() as other:
        address.unlink()
        address.symlink_to(other.socket_path)
        try:
            yield
        finally:
            address.unlink()
            address.symlink_to(own)


@pytest.fixture
def movable(bench: Bench, tmp_path: Path) -> Bench:
    """The engine is behind an address that can be given to another."""
    if not isinstance(bench, ProcessBench):
        if not ADDRESS.startswith("unix://"):
            pytest.skip("the engine has no local socket")
        link = tmp_path / "engine.sock"
        link.symlink_to(ADDRESS.removeprefix("unix://"))
        bench.host.options = {**bench.host.options, "base_url": f"unix://{link}"}
        bench.host.save()
    return bench


def test_an_engine_replaced_under_a_worker_makes_nothing_missing(movable: Bench) -> None:
    job = queue_manager.queue_job(movable.job(seconds=40, exit_code=3))
    worker = start_worker()
    with ending(worker):
        wait_until(is_running, what="a running job")
        with another_engine_at_the_address(movable):
            # The grace is over long before the next regular check of the engine's identity.
            wait_until(UNHEALTHY.exists, seconds=30, what="the discovery of another engine")
            assert is_running()
            late = queue_manager.queue_job(movable.job())
            wait_until(lambda: UNHEALTHY.filter(failures__gte=2).exists(), seconds=30, what="its second look")
            assert (is_running(), movable.starts_of(late)) == (True, 0)
        movable.wait_until_all_finished()
    job.refresh_from_db()
    assert (job.status, job.exit_code, job.attempt, movable.starts_of(job)) == (Status.FAILED, 3, 1, 1)
    assert queue_manager.wait_for(late, timeout=1).status == Status.COMPLETED


@pytest.mark.parametrize("point", ["before_record", "while_running"])
def test_a_rescuer_believes_no_other_engine_that_nothing_was_started(movable: Bench, point: str) -> None:
    job = queue_manager.queue_job(movable.job(seconds=15, exit_code=3))
    dying = start_worker(point)
    with ending(dying):
        assert dying.wait(timeout=60) == -signal.SIGKILL
    with another_engine_at_the_address(movable):
        rescuer = start_worker()
        with ending(rescuer):
            wait_until(UNHEALTHY.exists, seconds=30, what="the discovery of another engine")
            wait_until(lambda: JobEvent.objects.filter(verb=Verb.RESCUE).exists(), what="the takeover")
            wait_until(lambda: UNHEALTHY.filter(failures__gte=2).exists(), seconds=30, what="its second look")
            assert JobAttempt.objects.filter(active_job=job, number=1).exists(), "it is open still"
    last = start_worker()
    with ending(last):
        movable.wait_until_all_finished()
        job.refresh_from_db()
        assert (job.status, job.exit_code, job.attempt, movable.starts_of(job)) == (Status.FAILED, 3, 1, 1)
        movable.assert_never_twice()
