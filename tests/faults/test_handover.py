"""A deployment kills no job: a worker that is told to stop leaves, and the next one goes on at once."""

from __future__ import annotations

import signal

import pytest

from container_manager import queue_manager
from container_manager.models import ContainerJob, JobAttempt, Worker
from container_manager.states import Status, Verb
from tests.faults.conftest import Bench
from tests.faults.starting import start_worker
from tests.processes import ending, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def running_jobs(count: int) -> bool:
    return ContainerJob.objects.filter(status=Status.RUNNING).count() == count


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_hands_its_running_jobs_to_the_next_at_once(bench: Bench, number: signal.Signals) -> None:
    jobs = queue_manager.queue_jobs([bench.job(seconds=4, exit_code=9) for _ in range(4)])
    leaving = start_worker()
    with ending(leaving):
        wait_until(lambda: running_jobs(4), what="four running jobs")
        leaving.send_signal(number)
        assert leaving.wait(timeout=30) == 0
    assert not Worker.objects.exists()
    assert running_jobs(4), "nothing was killed"
    assert not JobAttempt.objects.filter(active_job__isnull=False, worker__isnull=False).exists()

    successor = start_worker("never", 1, "KILL", "--drain")
    with ending(successor):
        assert successor.wait(timeout=60) == 0
    for job in jobs:
        job.refresh_from_db()
        assert (job.status, job.exit_code, job.attempt, job.output()) == (Status.FAILED, 9, 1, "began\n")
        assert not job.events.filter(verb=Verb.RESCUE).exists(), "a hand-over is no rescue"
    bench.assert_never_twice()


def test_a_second_signal_exits_at_once_and_loses_nothing(bench: Bench) -> None:
    job = queue_manager.queue_job(bench.job(seconds=3))
    impatient = start_worker()
    with ending(impatient):
        wait_until(lambda: running_jobs(1), what="a running job")
        impatient.send_signal(signal.SIGTERM)
        impatient.send_signal(signal.SIGINT)
        assert impatient.wait(timeout=30) in (0, 130)
    successor = start_worker("never", 1, "KILL", "--drain")
    with ending(successor):
        assert successor.wait(timeout=60) == 0
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.COMPLETED, 1)
    bench.assert_never_twice()
