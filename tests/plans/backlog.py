"""A deep backlog: over a hundred thousand jobs, by few statements."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.db import connection, models
from django.utils import timezone

from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import Hold, Outcome, Status

SEEDS: Final = 200
DEEP, DEEP_ENOUGH = 7, 5
"""Doublings of the seeds: for over a hundred thousand jobs, and for a quarter of that."""
SHALLOW: Final = 2_000
"""Rows that are due, and rows that are overdue."""
NEW_ID: Final = {"postgresql": "gen_random_uuid()", "mysql": "UUID()", "sqlite": "lower(hex(randomblob(16)))"}
NUMBERED_ID: Final = {
    "postgresql": "lpad(to_hex({number}), 32, '0')::uuid",
    "mysql": "CAST(LPAD(HEX({number}), 32, '0') AS UUID)",
    "sqlite": "printf('%%032x', {number})",
}
"""Ids in order, as those are that time makes: a table fills several times as quickly as by random ones."""
JOBS, ATTEMPTS = ContainerJob._meta.db_table, JobAttempt._meta.db_table


def fill(host: ExecutorHost, doublings: int) -> None:
    """
    ``SEEDS << doublings`` jobs each: ready, scheduled, finished with an attempt, and ready in the queue ``other``.

    The database's statistics know of them.
    """
    past = timezone.now() - timedelta(hours=1)
    ContainerJob.objects.bulk_create([
        *jobs(SEEDS),
        *jobs(SEEDS, hold=Hold.SCHEDULE, hold_until=past + timedelta(days=9), scheduled_for=past + timedelta(days=9)),
        *jobs(SEEDS, status=Status.COMPLETED, attempt=1, outcome=Outcome.OK, finished_at=past),
        *jobs(SEEDS, queue="other"),
    ])  # fmt: skip
    for doubling in range(doublings):
        _double(4 * SEEDS << doubling)
    ContainerJob.objects.bulk_create([
        *jobs(SHALLOW, hold=Hold.BACKOFF, hold_until=past),
        *jobs(SHALLOW, queue="other", queue_timeout_seconds=1),
    ], batch_size=1_000)  # fmt: skip
    _insert_attempts(host)
    _analyze()


def jobs(count: int, **fields: Any) -> list[ContainerJob]:
    """Unsaved jobs, queued a second apart unless ``fields`` say otherwise."""
    past = timezone.now() - timedelta(hours=1)
    return [
        ContainerJob(command="true", priority=number % 5 * 20, queued_at=past + timedelta(seconds=number), **fields)
        for number in range(count)
    ]


def _double(count: int) -> None:
    columns = _columns(ContainerJob)
    new_id = NUMBERED_ID[connection.vendor].format(number=f"{count} + row_number() OVER ()")
    _execute(f"INSERT INTO {JOBS} (id, {columns}) SELECT {new_id}, {columns} FROM {JOBS}", [])  # noqa: S608


def _insert_attempts(host: ExecutorHost) -> None:
    """One for each finished job, under the job's id."""
    now = timezone.now()
    first = JobAttempt(number=1, host=host, launched_at=now, finished_at=now, outcome=Outcome.OK)
    fields = [field for field in JobAttempt._meta.concrete_fields if field.name not in ("id", "job")]
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    _execute(
        f"INSERT INTO {ATTEMPTS} (id, job_id, {columns}) "  # noqa: S608
        f"SELECT id, id, {', '.join(['%s'] * len(fields))} FROM {JOBS} WHERE status = 'completed'",
        [field.get_db_prep_save(getattr(first, field.attname), connection) for field in fields],
    )


def _columns(model: type[models.Model]) -> str:
    names = [str(field.column) for field in model._meta.concrete_fields if field.column != "id"]
    return ", ".join(map(connection.ops.quote_name, names))


def _analyze() -> None:
    _execute(f"ANALYZE TABLE {JOBS}, {ATTEMPTS}" if connection.vendor == "mysql" else "ANALYZE")


def _execute(statement: str, parameters: list[Any] | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        if cursor.description:
            cursor.fetchall()
