"""
Hand-written SQL that writes the very same rows as this package does, in statements that MariaDB and SQLite know too.

As ``floor``, through Django's cursor: rows inserted with ``executemany``, moved by ``id IN (...)``.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid4

from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from bench.child import StartLine
from bench.rows import ATTEMPTS, EVENTS, JOBS, event_row, insert_statement, queued_job, row_of
from bench.timing import timed
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobEvent
from container_manager.states import TERMINAL, Verb

IN_HAND = 100
AT_ONCE: Final = 1_000
START: Final = ("status = 'running', started_at = %s", "started_at = %s, execution_id = 'cm'")
END: Final = (
    "status = 'completed', finished_at = %s, worker = NULL, exit_code = 0, outcome = 'ok'",
    "finished_at = %s, worker = NULL, exit_code = 0, outcome = 'ok', active_job_id = NULL",
)


def version() -> str:
    return connection.vendor


def prepare(_: StartLine) -> None:
    call_command("migrate", verbosity=0)
    ExecutorHost.objects.create(name="floor", executor_type="fake", max_concurrent_jobs=10_000)


def fill(start_line: StartLine, count: int) -> dict[str, Any]:
    instance = queued_job()
    job, event = row_of(instance), event_row(instance, Verb.QUEUE.value)

    def work() -> None:
        for start in range(0, count, AT_ONCE):
            ids = [_bound(uuid7()) for _ in range(min(AT_ONCE, count - start))]
            with transaction.atomic():
                _insert(JOBS, [{**job, "id": key} for key in ids])
                _insert(EVENTS, [{**event, "job_id": key} for key in ids])

    return timed(start_line, count, work)


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    host, worker = ExecutorHost.objects.get(), uuid4()
    template = row_of(JobAttempt(job_id=worker, active_job_id=worker, number=1, host=host, launched_at=timezone.now()))
    return timed(start_line, count, lambda: _drain(worker, template))


def unfinished(_: StartLine) -> dict[str, int]:
    return {"count": ContainerJob.objects.exclude(status__in=TERMINAL).count()}


def _drain(worker: UUID, template: dict[str, Any]) -> None:
    while ids := _claim(worker, template):
        for (job_values, attempt_values), verb in ((START, Verb.START), (END, Verb.COMPLETE)):
            with transaction.atomic():
                _update(JOBS, job_values, "id", ids)
                _update(ATTEMPTS, attempt_values, "active_job_id", ids)
                _record(verb, worker, ids)


def _claim(worker: UUID, template: dict[str, Any]) -> list[Any]:
    locking = " FOR UPDATE SKIP LOCKED" if connection.vendor != "sqlite" else ""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {JOBS} WHERE queue = 'default' AND status = 'queued' AND hold = '' "  # noqa: S608 - our own names
            f"ORDER BY priority DESC, queued_at, id LIMIT {IN_HAND}{locking}"
        )
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return []
        moved = "status = 'launching', expires_at = NULL, hold_reason = '', attempt = attempt + 1, launched_at = %s"
        _update(JOBS, moved, "id", ids)
        owner = _bound(worker)
        _insert(ATTEMPTS, [
            {**template, "id": _bound(uuid7()), "job_id": job_id, "active_job_id": job_id, "worker": owner}
            for job_id in ids
        ])  # fmt: skip
        _record(Verb.CLAIM, worker, ids)
        return ids


def _update(table: str, values: str, key: str, ids: list[Any]) -> None:
    with connection.cursor() as cursor:
        slots = ", ".join(["%s"] * len(ids))
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        cursor.execute(f"UPDATE {table} SET {values} WHERE {key} IN ({slots})", [now, *ids])  # noqa: S608 - our own names


def _record(verb: Verb, worker: UUID, ids: list[Any]) -> None:
    event = row_of(JobEvent(job_id=worker, attempt=1, verb=verb.value, actor=str(worker), data={"exit_code": 0}))
    _insert(EVENTS, [{**event, "job_id": job_id} for job_id in ids])


def _insert(table: str, rows: list[dict[str, Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(insert_statement(table, list(rows[0])), [list(row.values()) for row in rows])


def _bound(key: UUID) -> Any:
    return ContainerJob._meta.pk.get_db_prep_value(key, connection)
