"""All that a worker asks of the job tables at a deep backlog: claims, moves, rescue, stops, statistics, retention."""

from __future__ import annotations

import pytest
from uuid_utils.compat import uuid7

from container_manager import claiming, due
from container_manager.executors.fake import FakeEngine, Script
from container_manager.models import ExecutorHost, JobAttempt
from container_manager.specs import JobSpec
from container_manager.worker import WorkerLoop, WorkerOptions
from tests.plans.explaining import assert_proportional, explained, using

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ENOUGH = 300


def test_no_statement_of_a_worker_reads_more_than_its_batch(host: ExecutorHost, fake_engine: FakeEngine) -> None:
    dead = uuid7()
    abandoned = claiming.claim(host, dead, queue="default", limit=20, using="default")
    assert len(abandoned) == 20
    worker = WorkerLoop(WorkerOptions(concurrency=100, poll_interval=0.1))
    created = 0

    def count(_: JobSpec) -> Script:
        nonlocal created
        created += 1
        if created == ENOUGH:
            worker.request_stop()
        return Script()

    fake_engine.script(count)
    with explained() as plans:
        worker.run()
    assert created >= ENOUGH
    assert not JobAttempt.objects.filter(worker=dead).exists(), "they were taken over"
    assert using(plans, "cm_job_ready") >= 1
    assert using(plans, "cm_attempt_host") >= 1
    assert_proportional(plans, due.AT_ONCE)
