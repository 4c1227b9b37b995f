"""PostgreSQL: a worker that would not look for ten minutes runs what was queued, since it hears of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from container_manager import queue_manager
from container_manager.hosts import node_name
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import Status
from container_manager.worker.listener import APPLICATION_NAME
from tests.processes import ending, spawn, wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(settings.TEST_DATABASE != "postgres", reason="the other databases tell nothing"),
]

SELDOM = """
import django
from django.core.management import execute_from_command_line
django.setup()
from container_manager.worker import health, loop, pace, sweep
loop.STOPS_INTERVAL = pace.QUICKEST = health.CHECK_INTERVAL = sweep.SWEEP_INTERVAL = 600.0
execute_from_command_line(["django", "containers", "worker", "--poll-interval", "600"])
"""


def listeners() -> set[int]:
    """The server's processes for the listening connections."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database() "
            "AND state = 'idle' AND query LIKE 'SELECT pg_backend_pid%%'",
            [APPLICATION_NAME],
        )
        return {pid for (pid,) in cursor.fetchall()}


def run(job: ContainerJob) -> None:
    assert queue_manager.wait_for(job, timeout=120).status == Status.COMPLETED


def test_a_worker_that_hardly_looks_runs_what_it_hears_of_and_survives_its_listeners_end(tmp_path: Path) -> None:
    ExecutorHost.objects.create(
        name="here", executor_type="process", node=node_name(), options={"state_directory": str(tmp_path)}
    )
    worker = spawn("-c", SELDOM)
    with ending(worker):
        wait_until(listeners, what="the worker's listening connection")
        run(queue_manager.create_and_queue(command="true"))

        with transaction.atomic():
            saved = queue_manager.queue_job(ContainerJob.objects.create(command="true"))
        run(saved)

        run(queue_manager.create_and_queue(command="true", schedule_for=timezone.now() + timedelta(seconds=1)))

        before = listeners()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [before.pop()])
        run(queue_manager.create_and_queue(command="true"))
        wait_until(lambda: listeners() - before, what="another listening connection")
        run(queue_manager.create_and_queue(command="true"))

        worker.terminate()
        assert worker.wait(timeout=60) == 0
    wait_until(lambda: not listeners(), what="the end of the listening connection")


def test_a_running_job_is_stopped_by_a_cancellation_that_is_heard(tmp_path: Path) -> None:
    ExecutorHost.objects.create(
        name="here", executor_type="process", node=node_name(), options={"state_directory": str(tmp_path)}
    )
    worker = spawn("-c", SELDOM)
    with ending(worker):
        job = queue_manager.create_and_queue(command="sleep 600")
        wait_until(lambda: ContainerJob.objects.filter(pk=job.pk, status=Status.RUNNING).exists(), what="the start")
        wait_until(listeners, what="the worker's listening connection")
        queue_manager.cancel_job(job)
        wait_until(lambda: ContainerJob.objects.filter(pk=job.pk, status=Status.CANCELLED).exists(), what="its end")
