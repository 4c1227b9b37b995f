"""Many processes, the same jobs: each job is started exactly once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from django.db import connection

from container_manager import queue_manager
from container_manager.hosts import node_name
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import Status
from tests.processes import ending, spawn, spawn_worker, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]

JOBS = 200
PROCESSES = 8


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def jobs(ledger: Path, tmp_path: Path) -> list[ContainerJob]:
    ExecutorHost.objects.create(
        name="here", executor_type="process", node=node_name(), max_concurrent_jobs=JOBS,
        options={"state_directory": str(tmp_path / "state")},
    )  # fmt: skip
    command = ["sh", "-c", f'echo "$CM_JOB_ID $CM_ATTEMPT" >> {ledger}']
    return queue_manager.queue_jobs([ContainerJob(command=command) for _ in range(JOBS)])


def starts(ledger: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in ledger.read_text().splitlines()) if ledger.exists() else Counter()


def assert_each_ran_once(jobs: list[ContainerJob], ledger: Path) -> None:
    assert starts(ledger) == Counter(str(job.pk) for job in jobs)
    assert set(ContainerJob.objects.values_list("status", "exit_code", "attempt")) == {(Status.COMPLETED, 0, 1)}
    assert JobAttempt.objects.count() == JOBS
    assert not JobAttempt.objects.filter(active_job__isnull=False).exists()


def test_eight_processes_that_launch_the_same_jobs_start_each_exactly_once(
    jobs: list[ContainerJob], ledger: Path
) -> None:
    launchers = [spawn("-m", "tests.races.launcher", str(number)) for number in range(PROCESSES)]
    with ending(*launchers):
        outputs = [launcher.communicate(timeout=240)[0] for launcher in launchers]
        assert sum(int(output.splitlines()[-1]) for output in outputs) == JOBS, outputs
    worker = spawn_worker("--drain", "--concurrency", "50")
    with ending(worker):
        output, _ = worker.communicate(timeout=120)
        assert worker.returncode == 0, output
    assert_each_ran_once(jobs, ledger)


def test_sqlite_stays_correct_under_deferred_transactions(jobs: list[ContainerJob], ledger: Path) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite has deferred transactions")
    deferred = {"TEST_SQLITE_MODE": "DEFERRED"}
    launchers = [spawn("-m", "tests.races.launcher", str(number), environment=deferred) for number in range(4)]
    with ending(*launchers):
        outputs = [launcher.communicate(timeout=240)[0] for launcher in launchers]
        assert sum(int(output.splitlines()[-1]) for output in outputs) == JOBS, outputs
    workers = [spawn_worker("--drain", "--concurrency", "20", environment=deferred) for _ in range(4)]
    with ending(*workers):
        for worker in workers:
            output, _ = worker.communicate(timeout=120)
            assert worker.returncode == 0, output
    assert_each_ran_once(jobs, ledger)


def test_eight_workers_on_one_queue_start_each_job_exactly_once(jobs: list[ContainerJob], ledger: Path) -> None:
    workers = [spawn_worker("--concurrency", "5", "--poll-interval", "0.1") for _ in range(PROCESSES)]
    with ending(*workers):
        wait_until(
            lambda: not ContainerJob.objects.exclude(status=Status.COMPLETED).exists(), seconds=240, what="the drain"
        )
        for worker in workers:
            worker.terminate()
        for worker in workers:
            output, _ = worker.communicate(timeout=60)
            assert worker.returncode == 0, output
    assert_each_ran_once(jobs, ledger)
