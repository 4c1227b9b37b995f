"""A claim that is under way keeps nobody from the rows that it does not take."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from uuid_utils.compat import uuid7

from container_manager import claiming
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import Status
from tests.plans import backlog
from tests.plans.backlog import JOBS
from tests.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

TAKEN = 5


def free_rows(other: BaseDatabaseWrapper) -> set[Any]:
    """The queued jobs that ``other`` can lock now."""
    with other.cursor() as cursor:
        cursor.execute(f"SELECT id FROM {JOBS} WHERE status = 'queued' FOR UPDATE SKIP LOCKED")  # noqa: S608
        return {ContainerJob._meta.pk.to_python(row[0]) for row in cursor.fetchall()}


def rows_locked() -> list[int]:
    """By the transaction that asks, on MariaDB."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT trx_rows_locked FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
        )
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.skipif(settings.TEST_DATABASE == "sqlite", reason="it locks the database, not rows")
def test_a_claim_locks_only_the_rows_it_takes(host: ExecutorHost, monkeypatch: pytest.MonkeyPatch) -> None:
    queued = set(ContainerJob.objects.filter(status=Status.QUEUED).values_list("pk", flat=True))
    neighbour = claiming.ready_jobs("default", "default")[TAKEN]
    take, free, locked = claiming._claims_of, set(), []
    other = connections["default"].copy()

    def take_and_look(*arguments: Any) -> Any:
        claims = take(*arguments)
        if connection.vendor == "mysql":
            # The server makes that table anew at most ten times a second: it may not know of this transaction yet.
            wait_until(rows_locked, what="the transaction's own row")
            locked.extend(rows_locked())
        free.update(free_rows(other))
        with other.cursor() as cursor:
            # Neither do gaps beside them wait for its end: before, among and after what it takes.
            cursor.execute(f"UPDATE {JOBS} SET priority = 100 WHERE id = %s", [_bound(neighbour)])  # noqa: S608
            for priority in (90, 80, 0):
                _insert_like(other, neighbour, priority)
        return claims

    monkeypatch.setattr(claiming, "_claims_of", take_and_look)
    try:
        claims = claiming.claim(host, uuid7(), queue="default", limit=TAKEN, using="default")
    finally:
        other.close()
    assert len(claims) == TAKEN
    assert free == queued - {claim.job.pk for claim in claims}
    # An index entry and a row of each job, its attempt's, and the host's.
    assert all(0 < count <= 40 for count in locked)


def _insert_like(other: BaseDatabaseWrapper, job: ContainerJob, priority: int) -> None:
    names = [
        str(field.column) for field in ContainerJob._meta.concrete_fields if field.column not in ("id", "priority")
    ]
    columns = ", ".join(map(connection.ops.quote_name, names))
    with other.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {JOBS} (id, priority, {columns}) "  # noqa: S608
            f"SELECT {backlog.NEW_ID[connection.vendor]}, %s, {columns} FROM {JOBS} WHERE id = %s",
            [priority, _bound(job)],
        )


def _bound(job: ContainerJob) -> Any:
    return ContainerJob._meta.pk.get_db_prep_value(job.pk, connection)
