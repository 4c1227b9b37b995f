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
from container_manager.states import Outcome, Status, Verb
from tests.faults.conftest import Bench, KubernetesBench, ProcessBench, socket_of
from tests.faults.engine_proxy import EngineProxy
from tests.faults.private_dockerd import PrivateDockerd
from tests.faults.private_podman import PrivatePodman
from tests.faults.starting import start_worker
from tests.processes import ending, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

UNHEALTHY = ExecutorHost.objects.filter(health_error__contains="Another engine answers")


def is_running() -> bool:
    return ContainerJob.objects.filter(status=Status.RUNNING).exists()


class Movable:
    """An engine behind an address that can be given to another."""

    def __init__(self, bench: Bench, proxy: EngineProxy | None) -> None:
        self.bench, self._proxy = bench, proxy

    @contextmanager
    def another_engine(self) -> Iterator[None]:
        """Meanwhile another state directory, or another engine of its kind, is where the host's own was."""
        if self._proxy is None:
            state = Path(self.bench.host.options["state_directory"])
            aside = state.with_name("aside")
            state.rename(aside)
            try:
                yield
            finally:
                shutil.rmtree(state, ignore_errors=True)
                aside.rename(state)
            return
        own = self._proxy.engine
        with PrivatePodman() if self.bench.host.executor_type == "podman" else PrivateDockerd() as other:
            self._proxy.go_away()
            self._proxy.come_back(other.socket_path)
            try:
                yield
            finally:
                self._proxy.go_away()
                self._proxy.come_back(own)


@pytest.fixture
def movable(bench: Bench, tmp_path: Path) -> Iterator[Movable]:
    if isinstance(bench, ProcessBench):
        yield Movable(bench, None)
        return
    if isinstance(bench, KubernetesBench):
        pytest.skip("there is no second cluster: what another cluster's identity does is decided above the executors")
    with EngineProxy(tmp_path, socket_of(bench.host.executor_type)) as proxy:
        behind = {**bench.host.options, "base_url": proxy.address}
        ExecutorHost.objects.filter(pk=bench.host.pk).update(options=behind)
        yield Movable(bench, proxy)


def test_an_engine_replaced_under_a_worker_makes_nothing_missing(movable: Movable) -> None:
    job = queue_manager.queue_job(movable.bench.job(seconds=40, exit_code=3))
    worker = start_worker()
    with ending(worker):
        wait_until(is_running, what="a running job")
        with movable.another_engine():
            # The grace is over long before the next regular check of the engine's identity.
            wait_until(UNHEALTHY.exists, seconds=30, what="the discovery of another engine")
            assert is_running()
            late = queue_manager.queue_job(movable.bench.job())
            wait_until(lambda: UNHEALTHY.filter(failures__gte=2).exists(), seconds=30, what="its second look")
            assert (is_running(), movable.bench.starts_of(late)) == (True, 0)
        movable.bench.wait_until_all_finished()
    job.refresh_from_db()
    assert (job.status, job.exit_code, movable.bench.starts_of(job)) == (Status.FAILED, 3, 1)
    assert not job.attempts.filter(outcome=Outcome.LOST).exists()
    assert queue_manager.wait_for(late, timeout=1).status == Status.COMPLETED


@pytest.mark.parametrize("point", ["before_record", "while_running"])
def test_a_rescuer_believes_no_other_engine_that_nothing_was_started(movable: Movable, point: str) -> None:
    job = queue_manager.queue_job(movable.bench.job(seconds=15, exit_code=3))
    dying = start_worker(point)
    with ending(dying):
        assert dying.wait(timeout=60) == -signal.SIGKILL
    wait_until(lambda: movable.bench.starts_of(job) == 1, seconds=60, what="the job's own start")
    with movable.another_engine():
        rescuer = start_worker()
        with ending(rescuer):
            wait_until(UNHEALTHY.exists, seconds=30, what="the discovery of another engine")
            wait_until(lambda: JobEvent.objects.filter(verb=Verb.RESCUE).exists(), what="the takeover")
            wait_until(lambda: UNHEALTHY.filter(failures__gte=2).exists(), seconds=30, what="its second look")
            assert JobAttempt.objects.filter(active_job=job, number=1).exists(), "it is open still"
    last = start_worker()
    with ending(last):
        movable.bench.wait_until_all_finished()
        job.refresh_from_db()
        assert (job.status, job.exit_code, movable.bench.starts_of(job)) == (Status.FAILED, 3, 1)
        assert not job.attempts.filter(outcome=Outcome.LOST).exists()
        movable.bench.assert_never_twice()
