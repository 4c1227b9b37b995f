"""The queue joins the caller's transaction: a waiting worker sees what was committed, when it was committed."""

from __future__ import annotations

import pytest
from django.db import transaction

from container_manager import queue_manager
from container_manager.hosts import node_name
from container_manager.models import ContainerJob, ExecutorHost, Worker
from container_manager.states import Status
from tests.processes import ending, spawn_worker, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_waiting_worker_runs_what_was_committed_and_nothing_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    ExecutorHost.objects.create(
        name="here", executor_type="process", node=node_name(),
        options={"state_directory": str(tmp_path_factory.mktemp("state"))},
    )  # fmt: skip
    worker = spawn_worker("--poll-interval", "0.1")
    with ending(worker):
        wait_until(Worker.objects.exists, what="the worker's first heartbeat")
        with transaction.atomic():
            queue_manager.create_and_queue(command="true", name="rolled back")
            transaction.set_rollback(True)
        with transaction.atomic():
            job = queue_manager.create_and_queue(command="echo committed")
        queue_manager.wait_for(job, timeout=60)
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    assert job.output() == "committed\n"
    assert list(ContainerJob.objects.values_list("status", flat=True)) == [Status.COMPLETED]
