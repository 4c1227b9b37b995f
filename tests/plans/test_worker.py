"""All that a worker asks of the job tables at a deep backlog: claims, moves, rescue, stops, statistics, retention."""

from __future__ import annotations

import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from container_manager import claiming, due
from container_manager.executors.fake import FakeEngine, Script
from container_manager.models import ExecutorHost, JobAttempt
from container_manager.specs import JobSpec
from container_manager.worker import WorkerLoop, WorkerOptions
from tests.plans.backlog import ATTEMPTS
from tests.plans.explaining import assert_proportional, explained, using

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ENOUGH, IN_HAND, VERY_MANY = 300, 100, 6_000
OFTEN = ("SELECT statement_timestamp()", "SELECT COUNT(*) FROM", "WITH picked", "WITH moved")
"""How the statements begin that a worker sends with every batch."""


class Work:
    """A worker that stops when it has created so many executions."""

    def __init__(self, fake_engine: FakeEngine, *, until: int) -> None:
        self.created, self._until = 0, until
        self._worker = WorkerLoop(WorkerOptions(concurrency=IN_HAND, poll_interval=0.1))
        fake_engine.script(self._count)

    def _count(self, _: JobSpec) -> Script:
        self.created += 1
        if self.created == self._until:
            self._worker.request_stop()
        return Script()

    def run(self) -> None:
        self._worker.run()
        assert self.created >= self._until


def test_no_statement_of_a_worker_reads_more_than_its_batch(host: ExecutorHost, fake_engine: FakeEngine) -> None:
    dead = uuid7()
    abandoned = claiming.claim(host, dead, queue="default", limit=20, using="default")
    assert len(abandoned) == 20
    work = Work(fake_engine, until=ENOUGH)
    with explained() as plans:
        work.run()
    assert not JobAttempt.objects.filter(worker=dead).exists(), "they were taken over"
    assert using(plans, "cm_job_ready") >= 1
    assert using(plans, "cm_attempt_host") >= 1
    assert_proportional(plans, due.AT_ONCE)


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="its indexes have the entries of dead rows until a vacuum"
)
def test_what_has_ended_since_the_last_vacuum_is_not_read_again(host: ExecutorHost, fake_engine: FakeEngine) -> None:
    """As in a new installation: indexes of open attempts have all that ever ran, and there are no statistics."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT usesuper FROM pg_user WHERE usename = current_user")
        if not cursor.fetchone()[0]:
            pytest.skip("Only a superuser can forget statistics.")
        cursor.execute(f"TRUNCATE {ATTEMPTS} CASCADE")
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = %s::regclass", [ATTEMPTS])
    work = Work(fake_engine, until=VERY_MANY + ENOUGH)
    with explained(lambda: work.created >= VERY_MANY) as plans:
        work.run()
    often = [plan for plan in plans if plan.sql.startswith(OFTEN)]
    assert {word for word in OFTEN for plan in often if plan.sql.startswith(word)} == set(OFTEN)
    for plan in often:
        assert plan.entries_read <= 10 * IN_HAND, plan
        assert plan.blocks <= 20 * plan.rows_read + 10 * IN_HAND, plan
