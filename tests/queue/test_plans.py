"""The plans of the hot queries at a deep backlog: the right index, and rows scanned in proportion to the batch."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager import claiming
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import Hold, Status

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

READY, HELD, FINISHED, OTHER = 20_000, 10_000, 10_000, 10_000
BATCH = 50


@pytest.fixture
def backlog(host: ExecutorHost) -> None:
    """Ready jobs, and beside them scheduled ones, finished ones and another queue."""
    now, later = timezone.now(), timezone.now() + timedelta(days=1)

    def rows(count: int, **fields: Any) -> list[ContainerJob]:
        return [ContainerJob(command="true", priority=number % 5 * 20, **fields) for number in range(count)]

    for jobs in (
        rows(READY, queued_at=now),
        rows(HELD, queued_at=now, scheduled_for=later),
        rows(FINISHED, status=Status.COMPLETED),
        rows(OTHER, queued_at=now, queue="other"),
    ):
        ContainerJob.objects.bulk_create(jobs, batch_size=2000)
    if connection.vendor != "mysql":  # where it would commit, and statistics keep up by themselves
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def explain(queryset: Any) -> tuple[str, int]:
    """The plan as text, and how many rows it read; 0 where the database does not say."""
    sql, parameters = queryset.query.sql_with_params()
    prefix = {"postgresql": "EXPLAIN (ANALYZE, FORMAT JSON) ", "mysql": "ANALYZE FORMAT=JSON "}.get(
        connection.vendor, "EXPLAIN QUERY PLAN "
    )
    with connection.cursor() as cursor:
        cursor.execute(prefix + sql, parameters)
        rows = cursor.fetchall()
    if connection.vendor == "sqlite":
        return " ".join(str(row[3]) for row in rows), 0
    plan = rows[0][0] if not isinstance(rows[0][0], str) else json.loads(rows[0][0])
    return json.dumps(plan), _rows_read(plan)


def _rows_read(plan: Any) -> int:
    if isinstance(plan, list):
        return max((_rows_read(part) for part in plan), default=0)
    if not isinstance(plan, dict):
        return 0
    own = float(plan.get("Actual Rows", plan.get("r_rows", 0)) or 0) + float(plan.get("Rows Removed by Filter", 0))
    return max(int(own), *(_rows_read(part) for part in plan.values()), 0)


def test_the_ready_index_serves_claim_and_head_and_the_due_index_promotion(backlog: None) -> None:
    for queryset in (
        claiming.ready_jobs("default", "default")[:BATCH],
        claiming.ready_jobs("default", "default").values_list("priority", "queued_at")[:1],
    ):
        plan, read = explain(queryset)
        assert "cm_job_ready" in plan
        assert "TEMP B-TREE" not in plan
        assert "filesort" not in plan
        assert read <= BATCH
    due = ContainerJob.objects.filter(hold_until__lte=timezone.now(), status=Status.QUEUED).order_by("hold_until", "id")
    plan, read = explain(due.values_list("pk", flat=True)[:500])
    assert "cm_job_due" in plan
    assert read <= 500


def test_a_claim_on_mariadb_locks_only_the_rows_it_takes(backlog: None, host: ExecutorHost) -> None:
    if connection.vendor != "mysql":
        pytest.skip("the others lock rows, not index ranges")
    claimed = claiming.claim(host, uuid7(), queue="default", limit=5, using="default")
    assert len(claimed) == 5
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT trx_rows_locked FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
        )
        locked = cursor.fetchone()[0]
    # The test's own transaction holds the backlog's rows too, so only the growth of a second claim says something.
    claiming.claim(host, uuid7(), queue="default", limit=5, using="default")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT trx_rows_locked FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
        )
        assert cursor.fetchone()[0] - locked < 200


def test_held_jobs_are_not_in_the_ready_index(backlog: None) -> None:
    held = ContainerJob.objects.filter(hold=Hold.SCHEDULE).count()
    assert held == HELD
    assert claiming.ready_jobs("default", "default").count() == READY
