"""A database that cuts connections, restarts or is locked: workers wait for it, and lose and kill nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.db.models import QuerySet

from container_manager import queue_manager
from container_manager.models import ContainerJob, JobAttempt, Worker
from container_manager.states import Outcome, Status
from tests.faults.conftest import Bench, full_run
from tests.faults.private_postgres import PrivatePostgres
from tests.faults.starting import start_worker
from tests.processes import ending, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

FATES = (0, 0, 3, 77)


def chatty(bench: Bench, seconds: float, exit_code: int) -> ContainerJob:
    """A job that says something again and again, so that there is output to write all the time."""
    script = f"{bench.note}echo began; i=0; while [ $i -lt {round(seconds * 10)} ]; do echo $i; i=$((i+1)); "
    return ContainerJob(image=bench.image, command=["sh", "-c", f"{script}sleep 0.1; done; exit {exit_code}"])


def cut_all_other_sessions() -> int:
    """The server ends every session in the test's database but this one; returns how many."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
        ids = [row[0] for row in cursor.fetchall()]
        for one in ids:
            cursor.execute(f"KILL {int(one)}")
        return len(ids)


def assert_each_ran_once_to_its_end(bench: Bench, jobs: list[ContainerJob], fates: list[int], lines: int) -> None:
    wrong = []
    for fate, job in zip(fates, jobs, strict=True):
        job.refresh_from_db()
        said = len(job.output().splitlines())
        if (job.exit_code, bench.starts_of(job), said) != (fate, 1, lines) or job.retry_count:
            wrong.append((job, job.exit_code, fate, bench.starts_of(job), said, job.retry_count, job.error))
    assert wrong == []
    assert not JobAttempt.objects.filter(outcome=Outcome.LOST).exists()


def test_connections_cut_again_and_again_under_load_lose_nothing(bench: Bench) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no connections that somebody else could end")
    fates = [FATES[number % len(FATES)] for number in range(full_run("OUTAGE_JOBS", 32))]
    jobs = queue_manager.queue_jobs([chatty(bench, 0.5, fate) for fate in fates])
    workers = [start_worker(), start_worker()]
    cut = 0
    with ending(*workers):
        # A worker that cannot reach the database at its start says so and ends: that is not the point here.
        wait_until(lambda: Worker.objects.count() == 2, what="two workers")
        deadline = time.monotonic() + 120
        while ContainerJob.objects.filter(finished_at__isnull=True).exists() and time.monotonic() < deadline:
            cut += cut_all_other_sessions()
            time.sleep(0.25)
        bench.wait_until_all_finished()
        assert cut > 10, "sessions were cut under load"
        assert_each_ran_once_to_its_end(bench, jobs, fates, lines=6)
        bench.assert_never_twice()


def _more_than(rows: QuerySet[ContainerJob], count: int) -> bool:
    return rows.count() > count


@contextmanager
def database_moved_to(server: PrivatePostgres) -> Iterator[None]:
    """The test, and the workers it starts, use a database of ``server`` instead."""
    settings = connection.settings_dict
    before = {key: settings[key] for key in ("HOST", "PORT", "NAME")}
    connection.close()
    settings.update(HOST="127.0.0.1", PORT=str(server.port), NAME="postgres")
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connection.close()
        settings.update(before)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[PrivatePostgres]:
    """A private PostgreSQL that the ``bench`` and its workers use."""
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL's server can be run beside the shared one")
    request.getfixturevalue("transactional_db")
    with PrivatePostgres() as server:
        monkeypatch.setenv("PGHOST", "127.0.0.1")
        monkeypatch.setenv("PGPORT", str(server.port))
        with database_moved_to(server):
            yield server


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_the_server_under_load_loses_no_result_and_kills_no_job(
    server: PrivatePostgres, bench: Bench, mode: str
) -> None:
    fates = [FATES[number % len(FATES)] for number in range(24)]
    jobs = queue_manager.queue_jobs([chatty(bench, (1, 3, 8)[number % 3], fate) for number, fate in enumerate(fates)])
    workers = [start_worker(), start_worker()]
    with ending(*workers):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).count() >= 12, what="a dozen jobs")
        for pause in (0.0, 7.0):
            connection.close()
            server.stop(mode)
            # Longer than WORKER_TIMEOUT the second time: nobody may be taken for dead when it is back.
            time.sleep(pause)
            server.start()
            finished = ContainerJob.objects.filter(finished_at__isnull=False)
            seen = finished.count()
            wait_until(partial(_more_than, finished, seen), what="the next result after the restart")
        bench.wait_until_all_finished()
        wrong = []
        for number, (fate, job) in enumerate(zip(fates, jobs, strict=True)):
            job.refresh_from_db()
            lines = (1, 3, 8)[number % 3] * 10 + 1
            found = (job.exit_code, job.attempt, bench.starts_of(job), len(job.output().splitlines()))
            if found != (fate, found[1], 1, lines):
                wrong.append((found, fate, lines, job.error))
        assert wrong == []
        assert not JobAttempt.objects.filter(outcome=Outcome.LOST).exists()
        bench.assert_never_twice()
        assert [worker.poll() for worker in workers] == [None, None], "no worker ended because of it"


def test_output_that_could_not_be_written_during_an_outage_is_there_afterwards(
    server: PrivatePostgres, bench: Bench
) -> None:
    job = queue_manager.queue_job(chatty(bench, 4, 5))
    worker = start_worker()
    with ending(worker):
        wait_until(lambda: "began" in job.output(), what="the first output")
        connection.close()
        server.stop()
        # It writes and ends while nobody can write it down, and reads of its row fail again and again.
        time.sleep(8)
        server.start()
        bench.wait_until_all_finished(seconds=60)
    job.refresh_from_db()
    assert (job.exit_code, job.attempt, len(job.output().splitlines())) == (5, 1, 41)


def test_an_end_that_comes_during_an_outage_is_recorded_after_it(bench: Bench) -> None:
    job = queue_manager.queue_job(bench.job(seconds=1.5, exit_code=6))
    worker = start_worker()
    with ending(worker):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).exists(), what="a running job")
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if connection.vendor == "sqlite":
                hold_sqlites_write_lock(0.5)
            else:
                cut_all_other_sessions()
                time.sleep(0.02)
        bench.wait_until_all_finished()
        job.refresh_from_db()
        assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 6, 1)
        assert worker.poll() is None, "the worker lives"
        bench.assert_never_twice()


def hold_sqlites_write_lock(seconds: float) -> None:
    """SQLite's outage: another program writes for long."""
    other = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(seconds)
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize(("times", "seconds"), [(10, 0.5), (1, 6.0)])
def test_a_process_that_holds_sqlites_write_lock_only_delays(bench: Bench, times: int, seconds: float) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite has one write lock for all")
    jobs = queue_manager.queue_jobs([bench.job(seconds=0.5, exit_code=number) for number in range(8)])
    workers = [start_worker(), start_worker()]
    with ending(*workers):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).exists(), what="a running job")
        for _ in range(times):
            # At most twice WORKER_TIMEOUT: neither worker may take the other for dead afterwards.
            hold_sqlites_write_lock(seconds)
            time.sleep(0.3)
        bench.wait_until_all_finished()
        assert_each_ran_once_to_its_end(bench, jobs, list(range(8)), lines=1)
        bench.assert_never_twice()
        assert [worker.poll() for worker in workers] == [None, None]
    connections.close_all()
