"""Workers are killed at every point of the protocol and at random moments: nothing runs twice, nothing is lost."""

from __future__ import annotations

import signal

import pytest

from container_manager import queue_manager
from container_manager.states import Status
from tests.faults.conftest import Bench, full_run
from tests.faults.random_kills import run_through_kills
from tests.faults.starting import start_worker
from tests.faults.worker import POINTS
from tests.processes import ending

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_one_point_leaves_nothing_undone(bench: Bench, point: str) -> None:
    jobs = queue_manager.queue_jobs([bench.job(exit_code=number) for number in range(3)])
    dying = start_worker(point)
    with ending(dying):
        assert dying.wait(timeout=60) == -signal.SIGKILL
    successor = start_worker("never", 1, "KILL", "--drain")
    with ending(successor):
        assert successor.wait(timeout=90) == 0
    for exit_code, job in enumerate(jobs):
        job.refresh_from_db()
        assert job.exit_code == exit_code
        assert job.status == (Status.FAILED if exit_code else Status.COMPLETED)
        assert job.output() == "began\n"
        assert job.retry_count == 0, "a rescue costs nothing"
        assert bench.starts_of(job) == 1
    if bench.executor.observe():
        sweeper = start_worker()
        with ending(sweeper):
            bench.assert_never_twice()
    else:
        bench.assert_never_twice()


@pytest.mark.timeout(3600)  # the full run is long
def test_many_workers_killed_at_random_lose_no_job_and_run_none_twice(bench: Bench) -> None:
    run_through_kills(bench, bench.host.executor_type, full_run("JOBS", 40), full_run("KILLS", 8))
