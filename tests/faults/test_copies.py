"""Two installations on one engine, and a copied database: nothing of another's is touched."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils.crypto import get_random_string

from container_manager import queue_manager
from container_manager.executors import executor_class
from container_manager.management.verbs import VERBS
from container_manager.models import ContainerJob, ExecutorHost, Installation, JobAttempt, Worker
from container_manager.specs import ExecutionState, JobSpec
from container_manager.states import Outcome, Status
from tests.faults.conftest import FAST, Bench, ProcessBench
from tests.faults.starting import start_worker
from tests.processes import ending, spawn, spawn_worker, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


def is_running() -> bool:
    return ContainerJob.objects.filter(status=Status.RUNNING).exists()


def test_the_executions_of_another_installation_are_left_alone(bench: Bench) -> None:
    stranger = get_random_string(8, "abcdefghijklmnopqrstuvwxyz")
    other = executor_class(bench.host.executor_type)(bench.host.options, installation=stranger)
    job = bench.job(seconds=60)
    theirs = other.create(
        JobSpec(installation=stranger, job_id=job.pk, attempt=1, image=job.image, command=tuple(job.command))
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


def copy_of_the_database(original: subprocess.Popen[str], folder: Path) -> str:
    """The name of a copy, made as an administrator makes one while the ``original``'s worker stands still."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        copy = str(folder / "copy.sqlite3")
        with closing(sqlite3.connect(name)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy
    copy = f"{name}_copy"
    original.send_signal(signal.SIGSTOP)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        connection.close()
        with maintenance() as cursor:
            cursor.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')
    finally:
        original.send_signal(signal.SIGCONT)
    return copy


@contextmanager
def maintenance() -> Iterator[CursorWrapper]:
    """A session outside the test's database, where PostgreSQL makes and drops others."""
    elsewhere = connection.copy()
    elsewhere.settings_dict = {**connection.settings_dict, "NAME": "postgres"}
    try:
        with elsewhere.cursor() as cursor:
            yield cursor
    finally:
        elsewhere.close()


@pytest.fixture
def drop_copy() -> Iterator[None]:
    yield
    if connection.vendor == "postgresql":
        with maintenance() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{connection.settings_dict["NAME"]}_copy" WITH (FORCE)')


def test_a_copy_beside_the_original_runs_nothing_until_it_is_one_and_then_only_its_own(
    bench: Bench, tmp_path: Path, drop_copy: None
) -> None:
    if connection.vendor == "mysql":
        pytest.skip("MariaDB cannot copy a database; the next test changes its fingerprint")
    running = queue_manager.queue_job(bench.job(seconds=12, exit_code=4))
    original = start_worker("never", 1, "KILL", "--queue", "default")
    with ending(original):
        wait_until(is_running, what="a running job")
        # In both databases the next attempt of this one has the same name on the same engine.
        queued = queue_manager.queue_job(bench.job(queue="host:" + bench.host.name, seconds=1))
        copy = {**FAST, "TEST_DATABASE_NAME": copy_of_the_database(original, tmp_path)}
        untold = spawn_worker("--poll-interval", "0.1", "--drain", environment=copy)
        with ending(untold):
            assert untold.wait(timeout=60) == 0
        assert bench.starts_of(queued) == 0, "the copy has not claimed it"

        told = spawn("-m", "container_manager", "installation", "--copy", environment=copy)
        with ending(told):
            assert "in place" in told.communicate(timeout=60)[0]
        # Now it has an id of its own, and sweeps by that.
        on_copy = spawn_worker("--poll-interval", "0.1", "--drain", environment=copy)
        with ending(on_copy):
            assert on_copy.wait(timeout=90) == 0
        assert is_running(), "the original's job runs on"
        second = start_worker("never", 1, "KILL", "--queue", "host:" + bench.host.name)
        with ending(second):
            assert queue_manager.wait_for(queued, timeout=60).status == Status.COMPLETED
            bench.wait_until_all_finished()
            bench.assert_nothing_is_left()
    # The ledger of local processes knows attempts, not whose: the copy ran its own job of the same id.
    assert (bench.starts_of(running), bench.starts_of(queued)) == (1, 2 if isinstance(bench, ProcessBench) else 1)
    running.refresh_from_db()
    assert (running.status, running.exit_code, running.attempt) == (Status.FAILED, 4, 1)


def test_a_database_that_was_moved_waits_to_be_told_and_then_rescues(bench: Bench) -> None:
    running = queue_manager.queue_job(bench.job(seconds=9, exit_code=4))
    in_doubt = queue_manager.queue_job(bench.job(queue="doubt"))
    ExecutorHost.objects.update(queues=["default", "doubt"])
    first = start_worker("never", 1, "KILL", "--queue", "default")
    with ending(first):
        wait_until(is_running, what="a running job")
        first.kill()
    dying = start_worker("before_record", 1, "KILL", "--queue", "doubt")
    with ending(dying):
        assert dying.wait(timeout=60) == -signal.SIGKILL
    queued = queue_manager.queue_job(bench.job())
    Installation.objects.update(fingerprint="elsewhere")
    before = list(JobAttempt.objects.order_by("pk").values_list("pk", "worker", "finished_at"))

    untold = spawn_worker("--poll-interval", "0.1", environment=FAST)
    with ending(untold):
        wait_until(lambda: Worker.objects.filter(process_id=untold.pid).exists(), what="the worker")
        row = Worker.objects.get(process_id=untold.pid)
        later = Worker.objects.filter(pk=row.pk, heartbeat_at__gt=row.heartbeat_at + timedelta(seconds=6))
        wait_until(later.exists, what="six seconds of its life: time for several rescues and sweeps")
        assert list(JobAttempt.objects.order_by("pk").values_list("pk", "worker", "finished_at")) == before
        assert bench.starts_of(queued) == 0
    call_command("containers", "installation", "--original")
    last = start_worker("never", 1, "KILL", "--drain")
    with ending(last):
        assert last.wait(timeout=90) == 0
    for job, exit_code in ((running, 4), (in_doubt, 0), (queued, 0)):
        job.refresh_from_db()
        assert (job.exit_code, job.attempt, bench.starts_of(job)) == (exit_code, 1, 1)


def test_each_database_knows_when_it_is_a_copy() -> None:
    row = Installation.current("default")
    assert row.is_in_place("default")
    Installation.objects.update(fingerprint="elsewhere")
    assert not Installation.current("default").is_in_place("default")
    assert any(verb.name == "installation" for verb in VERBS)
