"""Claim, promotion and expiry at a deep backlog: the right index, few rows read, few locked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager import claiming
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import Hold, Status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SEEDS, DOUBLINGS = 400, 5
DEPTH = SEEDS << DOUBLINGS
"""Rows of each kind: ready, held and due, finished, and overdue in another queue."""
BATCH = 50
NEW_ID = {"postgresql": "gen_random_uuid()", "mysql": "UUID()", "sqlite": "lower(hex(randomblob(16)))"}
JOBS, ATTEMPTS = ContainerJob._meta.db_table, JobAttempt._meta.db_table


def double(model: type[models.Model]) -> None:
    """Each row of ``model`` is there twice, under another id."""
    quote = connection.ops.quote_name
    columns = [str(field.column) for field in model._meta.concrete_fields if field.column != "id"]
    names = ", ".join(map(quote, columns))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quote(model._meta.db_table)} ({quote('id')}, {names}) "  # noqa: S608 - our own names
            f"SELECT {NEW_ID[connection.vendor]}, {names} FROM {quote(model._meta.db_table)}"
        )


@pytest.fixture
def backlog(host: ExecutorHost) -> None:
    now = timezone.now()
    past = now - timedelta(hours=1)

    def seeds(**fields: Any) -> list[ContainerJob]:
        return [
            ContainerJob(command="true", priority=number % 5 * 20, queued_at=past + timedelta(seconds=number), **fields)
            for number in range(SEEDS)
        ]

    ContainerJob.objects.bulk_create([
        *seeds(),
        *seeds(hold=Hold.BACKOFF, hold_until=past),
        *seeds(status=Status.COMPLETED),
        *seeds(queue="other", queue_timeout_seconds=1),
    ])  # fmt: skip
    for _ in range(DOUBLINGS):
        double(ContainerJob)
    finished = ContainerJob.objects.filter(status=Status.COMPLETED)[:2000]
    JobAttempt.objects.bulk_create(
        JobAttempt(job=job, number=1, host=host, launched_at=now, finished_at=now) for job in finished
    )
    tables = f"{JOBS}, {ATTEMPTS}"
    with connection.cursor() as cursor:
        for statement in [f"ANALYZE TABLE {tables}"] if connection.vendor == "mysql" else ["ANALYZE"]:
            cursor.execute(statement)
            if cursor.description:
                cursor.fetchall()


@dataclass
class Plan:
    sql: str
    text: str
    rows_read: int
    """0 where the database does not tell."""


@contextmanager
def explained(plans: list[Plan]) -> Iterator[None]:
    """The plan of every statement on jobs and attempts, with its rows counted, just before it runs."""
    is_explaining = False

    def explain_first(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        nonlocal is_explaining
        if not is_explaining and sql.startswith(("SELECT", "UPDATE", "WITH")) and (JOBS in sql or ATTEMPTS in sql):
            is_explaining = True
            try:
                plans.append(explain(sql, parameters))
            finally:
                is_explaining = False
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(explain_first):
        yield


def explain(sql: str, parameters: Any) -> Plan:
    prefixes = {
        "postgresql": "EXPLAIN (ANALYZE, FORMAT JSON) ",
        "mysql": "ANALYZE FORMAT=JSON ",
        "sqlite": "EXPLAIN QUERY PLAN ",
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(prefixes[connection.vendor] + sql, parameters)
        rows = cursor.fetchall()
        transaction.set_rollback(True)  # it may be an UPDATE, and was run
    if connection.vendor == "sqlite":
        return Plan(sql, "; ".join(str(row[3]) for row in rows), 0)
    plan = json.loads(rows[0][0]) if isinstance(rows[0][0], str) else rows[0][0]
    return Plan(sql, json.dumps(plan), rows_read(plan))


def rows_read(plan: Any) -> int:
    """Rows that the scans of a plan looked at, kept or not, over all of their loops."""
    if isinstance(plan, list):
        return sum(map(rows_read, plan))
    if not isinstance(plan, dict):
        return 0
    own = 0.0
    if "Relation Name" in plan and plan["Node Type"] != "ModifyTable":
        removed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        own = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    elif "table_name" in plan:
        own = (plan.get("r_rows") or 0) * plan.get("r_loops", 1)
    return round(own) + sum(rows_read(part) for part in plan.values())


def assert_proportional(plans: list[Plan], batch: int) -> None:
    for plan in plans:
        assert "TEMP B-TREE" not in plan.text, plan
        assert "filesort" not in plan.text, plan
        assert "Seq Scan" not in plan.text, plan
        assert f"SCAN {JOBS}" not in plan.text, plan
        assert plan.rows_read <= 2 * batch, plan


def using(plans: list[Plan], index: str) -> int:
    return sum(index in plan.text for plan in plans)


def test_no_statement_reads_more_than_its_batch(backlog: None, host: ExecutorHost) -> None:
    assert ContainerJob.objects.count() == 4 * DEPTH

    plans: list[Plan] = []
    with explained(plans):
        claims = claiming.claim(host, uuid7(), queue="default", limit=BATCH, using="default")
    assert len(claims) == BATCH
    assert len(plans) == 3, "the attempts of the host, the ready jobs, and the move"
    assert using(plans, "cm_job_ready") >= 1
    assert connection.vendor == "sqlite" or max(plan.rows_read for plan in plans) >= BATCH, "they are counted"
    assert_proportional(plans, BATCH)

    plans = []
    with explained(plans):
        assert sorted(claiming.queue_heads("default", ["default", "other", "none"])) == ["default", "other"]
    assert using(plans, "cm_job_ready") == 3
    assert_proportional(plans, 1)

    plans = []
    with explained(plans):
        assert claiming.promote("default", limit=BATCH) == BATCH
    assert using(plans, "cm_job_due") >= 1
    assert_proportional(plans, BATCH)

    plans = []
    with explained(plans):
        assert claiming.expire("default", limit=BATCH) == BATCH
    assert using(plans, "cm_job_expires") >= 1
    assert_proportional(plans, BATCH)


@pytest.mark.skipif(settings.TEST_DATABASE != "mariadb", reason="the others lock rows, not the ranges they read")
def test_a_claim_locks_the_rows_it_takes_and_hardly_another(
    backlog: None, host: ExecutorHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, locked = claiming._take, []

    def take_and_count(*arguments: Any) -> Any:
        claims = take(*arguments)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT trx_rows_locked FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
            )
            locked.append(cursor.fetchone()[0])
        return claims

    monkeypatch.setattr(claiming, "_take", take_and_count)
    assert len(claiming.claim(host, uuid7(), queue="default", limit=5, using="default")) == 5
    # An index entry and a row of each job, its attempt's, and the host's.
    assert 0 < locked[0] <= 40
