"""A cancellation that meets a launch at each of its steps: it wins, or comes too late and says so; never half."""

from __future__ import annotations

import signal

import pytest

from container_manager import queue_manager
from container_manager.states import Outcome, Status, StopReason
from tests.faults.conftest import Bench
from tests.faults.starting import start_worker
from tests.faults.test_freezes import is_stopped
from tests.processes import ending, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


@pytest.mark.parametrize("point", ["after_claim", "after_create"])
def test_a_job_cancelled_before_the_confirmation_never_starts(bench: Bench, point: str) -> None:
    job = queue_manager.queue_job(bench.job())
    worker = start_worker(point, 1, "STOP", "--drain")
    with ending(worker):
        wait_until(lambda: is_stopped(worker), what=f"the pause at {point}")
        queue_manager.cancel_job(job)
        assert job.status == Status.LAUNCHING, "its owner ends it"
        worker.send_signal(signal.SIGCONT)
        assert worker.wait(timeout=120) == 0
    job.refresh_from_db()
    assert (job.status, job.outcome) == (Status.CANCELLED, Outcome.CANCELLED)
    assert bench.starts() == {}
    bench.assert_never_twice()


@pytest.mark.parametrize("point", ["after_confirm", "before_start", "after_start", "before_record", "while_running"])
def test_a_job_cancelled_after_the_confirmation_is_stopped(bench: Bench, point: str) -> None:
    job = queue_manager.queue_job(bench.job(seconds=12))
    worker = start_worker(point, 1, "STOP", "--drain")
    with ending(worker):
        wait_until(lambda: is_stopped(worker), what=f"the pause at {point}")
        queue_manager.cancel_job(job)
        worker.send_signal(signal.SIGCONT)
        assert worker.wait(timeout=120) == 0
    job.refresh_from_db()
    assert (job.status, job.outcome) == (Status.CANCELLED, Outcome.CANCELLED)
    assert job.attempts.get().killed_by == StopReason.CANCEL
    bench.assert_never_twice()


def test_a_cancellation_after_the_end_leaves_the_natural_outcome_and_says_so(bench: Bench) -> None:
    job = queue_manager.queue_job(bench.job(exit_code=4))
    worker = start_worker("after_exit", 1, "STOP", "--drain")
    with ending(worker):
        wait_until(lambda: is_stopped(worker), what="the pause after the exit")
        queue_manager.cancel_job(job)
        worker.send_signal(signal.SIGCONT)
        assert worker.wait(timeout=120) == 0
    job.refresh_from_db()
    assert (job.status, job.exit_code, job.outcome) == (Status.FAILED, 4, Outcome.APP_ERROR)
    bench.assert_never_twice()
