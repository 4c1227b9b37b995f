"""Hosts out of reach, executions that vanish, and capacity under many workers."""

from __future__ import annotations

import json
import threading

import pytest

from container_manager import queue_manager
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import OnLost, Outcome, Status, Verb
from tests.faults.conftest import FAST, Bench
from tests.faults.starting import start_worker
from tests.processes import ending, spawn, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def settings(**values: object) -> dict[str, str]:
    return {"TEST_CONTAINER_MANAGER": json.dumps({**json.loads(FAST["TEST_CONTAINER_MANAGER"]), **values})}


def test_the_attempts_of_a_host_that_nobody_reaches_end_lost(bench: Bench) -> None:
    job = queue_manager.queue_job(bench.job(seconds=60))
    other = ExecutorHost.objects.create(name="other", executor_type="fake", options={"engine": "x"}, queues=["x"])
    first = start_worker()
    with ending(first):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).exists(), what="a running job")
        first.terminate()
        assert first.wait(timeout=30) == 0
    elsewhere = spawn(
        "-m", "tests.faults.worker", "never", "1", "KILL", "--host", other.name, "--poll-interval", "0.1",
        environment=settings(HOST_TIMEOUT=4), stdout=None,
    )  # fmt: skip
    with ending(elsewhere):
        bench.wait_until_all_finished(seconds=60)
    job.refresh_from_db()
    assert (job.status, job.outcome) == (Status.FAILED, Outcome.LOST)
    assert "No worker has reached" in job.error
    back = start_worker()
    with ending(back):
        # The host is back: its reconciliation stops and removes what was given up.
        bench.assert_never_twice()


@pytest.mark.parametrize("on_lost", list(OnLost))
def test_an_execution_that_vanished_is_lost_only_after_a_grace_and_then_as_the_job_says(
    bench: Bench, on_lost: OnLost
) -> None:
    job = queue_manager.queue_job(bench.job(seconds=5, on_lost=on_lost))
    worker = start_worker()
    with ending(worker):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).exists(), what="a running job")
        [seen] = bench.executor.observe()
        # Ended and removed behind the worker's back: awake, it would be told of the end at once.
        worker.send_signal(19)
        bench.executor.stop(seen.handle, 0)
        wait_until(lambda: bench.executor.observe()[0].state == "exited", what="its end")
        bench.executor.remove(seen.handle)
        worker.send_signal(18)
        bench.wait_until_all_finished()
        job.refresh_from_db()
        if on_lost is OnLost.FAIL:
            assert (job.status, job.outcome, job.attempt) == (Status.FAILED, Outcome.LOST, 1)
        else:
            assert (job.status, job.exit_code, job.attempt, job.rescue_count) == (Status.COMPLETED, 0, 2, 1)
            assert job.attempts.get(number=1).outcome == Outcome.LOST
        bench.assert_never_twice()


def test_four_workers_never_exceed_a_hosts_capacity(bench: Bench) -> None:
    ExecutorHost.objects.update(max_concurrent_jobs=5, memory_capacity=400)
    jobs = queue_manager.queue_jobs([bench.job(seconds=0.3, memory_limit=100) for _ in range(40)])
    most = 0
    over = threading.Event()
    workers = [start_worker() for _ in range(4)]
    with ending(*workers):

        def sample() -> bool:
            nonlocal most
            active = JobAttempt.objects.filter(active_job__isnull=False).count()
            most = max(most, active)
            if active > 4:
                over.set()
            return not ContainerJob.objects.exclude(status=Status.COMPLETED).exists()

        wait_until(sample, seconds=120, what="the drain")
        for worker in workers:
            worker.terminate()
        assert [worker.wait(timeout=60) for worker in workers] == [0] * 4
    assert not over.is_set(), "400 MiB hold four jobs of 100"
    assert most == 4, "and they were used"
    assert len(jobs) == 40
    bench.assert_never_twice()


def test_a_job_whose_launch_kills_its_worker_each_time_is_given_up(bench: Bench) -> None:
    job = queue_manager.queue_job(bench.job())
    bounded = settings(MAX_RESCUES=2)
    for _ in range(3):
        dying = spawn(
            "-m", "tests.faults.worker", "before_create", "1", "KILL", "--poll-interval", "0.1", environment=bounded,
            stdout=None,
        )  # fmt: skip
        with ending(dying):
            assert dying.wait(timeout=60) == -9
    last = spawn("-m", "tests.faults.worker", "never", "1", "KILL", "--drain", environment=bounded, stdout=None)
    with ending(last):
        assert last.wait(timeout=60) == 0
    job.refresh_from_db()
    assert (job.status, job.outcome) == (Status.FAILED, Outcome.LOST)
    assert "MAX_RESCUES" in job.events.get(verb=Verb.FAIL).message
    assert bench.starts() == {}
