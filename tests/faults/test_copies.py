"""Two installations on one engine, a copied database, a replaced engine: nothing of another's is touched."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from django.db import connection

from container_manager import queue_manager
from container_manager.executors import executor_class
from container_manager.management.verbs import VERBS
from container_manager.models import ContainerJob, ExecutorHost, Installation, Worker
from container_manager.specs import ExecutionState, JobSpec
from container_manager.states import Outcome, Status
from tests.faults.conftest import FAST, Bench
from tests.faults.test_kills import start_worker
from tests.processes import ending, spawn, spawn_worker, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def is_running() -> bool:
    return ContainerJob.objects.filter(status=Status.RUNNING).exists()


def test_the_executions_of_another_installation_are_left_alone(bench: Bench) -> None:
    other = executor_class(bench.host.executor_type)(bench.host.options, installation="stranger")
    job = bench.job(seconds=60)
    theirs = other.create(
        JobSpec(installation="stranger", job_id=job.pk, attempt=1, image=job.image, command=tuple(job.command))
    )
    other.start(theirs)
    worker = start_worker()
    with ending(worker):
        # Long enough for several sweeps at a grace of two seconds: ours is gone, theirs is not.
        ours = bench.executor.create(
            JobSpec(
                installation=bench.executor.installation, job_id=job.pk, attempt=9, image=job.image, command=("true",)
            )
        )
        wait_until(lambda: bench.executor.observe([ours]) == [], seconds=60, what="the sweep of our own orphan")
        [seen] = other.observe()
        assert seen.state is ExecutionState.RUNNING
    other.stop(theirs, 0)
    wait_until(lambda: other.observe()[0].state is ExecutionState.EXITED, what="the end of theirs")
    other.remove(theirs)


def test_a_copied_database_touches_nothing_of_the_original_until_it_is_told_what_it_is(
    bench: Bench, tmp_path: Path
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("one database is enough: the fingerprint decides, and each database has a test of it")
    job = queue_manager.queue_job(bench.job(seconds=6, exit_code=4))
    original = start_worker()
    with ending(original):
        wait_until(is_running, what="a running job")
        copy = tmp_path / "copy.sqlite3"
        source, target = sqlite3.connect(str(connection.settings_dict["NAME"])), sqlite3.connect(copy)
        source.backup(target)
        for database in (source, target):
            database.close()
        on_copy = {**FAST, "TEST_DATABASE_NAME": str(copy)}
        stranger = spawn_worker("--poll-interval", "0.1", environment=on_copy)
        with ending(stranger):
            queue_manager.wait_for(queue_manager.queue_job(bench.job()), timeout=60)
            bench.wait_until_all_finished()
            stranger.terminate()
            output, _ = stranger.communicate(timeout=60)
        assert "copy of another installation" in output
    job.refresh_from_db()
    assert (job.status, job.exit_code, job.outcome) == (Status.FAILED, 4, Outcome.APP_ERROR)
    told = spawn("-m", "container_manager", "installation", "--copy", environment=on_copy)
    with ending(told):
        output, _ = told.communicate(timeout=60)
    assert "1 attempts were the original's" in output
    assert "in place" in output
    assert Installation.current("default").identifier not in output


def test_another_engine_at_the_same_address_makes_nothing_missing(bench: Bench) -> None:
    if bench.host.executor_type != "process":
        pytest.skip("the process engine's identity is a file that a test can replace")
    job = queue_manager.queue_job(bench.job(seconds=8, exit_code=3))
    worker = start_worker()
    with ending(worker):
        wait_until(is_running, what="a running job")
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    state = Path(bench.host.options["state_directory"])
    aside = state.with_name("aside")
    state.rename(aside)
    worker = start_worker()
    with ending(worker):
        wait_until(lambda: Worker.objects.exists(), what="the worker")
        unhealthy = ExecutorHost.objects.filter(health_error__contains="Another engine answers")
        wait_until(unhealthy.exists, seconds=30, what="the discovery of another engine")
        shutil.rmtree(state)
        aside.rename(state)
        ExecutorHost.objects.update(retry_at=None)
        bench.wait_until_all_finished()
    job.refresh_from_db()
    assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 3, 1)


def test_each_database_knows_when_it_is_a_copy() -> None:
    row = Installation.current("default")
    assert row.is_in_place("default")
    Installation.objects.update(fingerprint="elsewhere")
    assert not Installation.current("default").is_in_place("default")
    assert any(verb.name == "installation" for verb in VERBS)
