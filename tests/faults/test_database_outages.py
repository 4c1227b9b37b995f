"""The database goes away under load, again and again: workers come back, forget nothing, and kill nothing."""

from __future__ import annotations

import os
import sqlite3
import threading
import time

import pytest
from django.db import connection

from container_manager import queue_manager
from container_manager.models import ContainerJob
from container_manager.states import Outcome, Status
from tests.faults.conftest import Bench
from tests.faults.test_kills import start_worker
from tests.processes import ending, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

OUTAGES = 12


def cut_all_other_sessions() -> int:
    """Every session on the test's database but this one is ended by the server, wherever it is."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return len(cursor.fetchall())
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
        sessions = [row[0] for row in cursor.fetchall()]
        for session in sessions:
            cursor.execute(f"KILL {int(session)}")
        return len(sessions)


def hold_the_write_lock(seconds: float) -> None:
    """SQLite's outage: another program writes for long."""
    other = sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=30, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(seconds)
    other.execute("ROLLBACK")
    other.close()


def test_outages_under_load_lose_nothing_and_run_nothing_twice(bench: Bench) -> None:
    fates = [number % 3 for number in range(30)]
    jobs = queue_manager.queue_jobs([bench.job(seconds=0.5, exit_code=fate) for fate in fates])
    workers = [start_worker() for _ in range(2)]
    with ending(*workers):
        for _ in range(OUTAGES):
            time.sleep(0.4)
            if connection.vendor == "sqlite":
                blocker = threading.Thread(target=hold_the_write_lock, args=(0.5,))
                blocker.start()
                blocker.join()
            else:
                cut_all_other_sessions()
        bench.wait_until_all_finished()
        for fate, job in zip(fates, jobs, strict=True):
            job.refresh_from_db()
            assert (job.exit_code, job.status) == (fate, Status.FAILED if fate else Status.COMPLETED), job.error
            assert bench.starts_of(job) == 1
            assert job.output() == "began\n"
        assert not ContainerJob.objects.filter(outcome=Outcome.LOST).exists()
        bench.assert_never_twice()
        for worker in workers:
            worker.terminate()
        assert [worker.wait(timeout=60) for worker in workers] == [0, 0]


def test_an_end_that_comes_during_an_outage_is_recorded_after_it(bench: Bench) -> None:
    job = queue_manager.queue_job(bench.job(seconds=1.5, exit_code=6))
    worker = start_worker()
    with ending(worker):
        wait_until(lambda: ContainerJob.objects.filter(status=Status.RUNNING).exists(), what="a running job")
        until = time.monotonic() + 3
        while time.monotonic() < until:
            if connection.vendor == "sqlite":
                hold_the_write_lock(0.5)
            else:
                cut_all_other_sessions()
                time.sleep(0.02)
        bench.wait_until_all_finished()
        job.refresh_from_db()
        assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 6, 1)
        assert os.waitpid(worker.pid, os.WNOHANG) == (0, 0), "the worker lives"
        bench.assert_never_twice()
