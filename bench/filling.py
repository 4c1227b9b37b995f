"""Very many rows as this package would have left them, made by the database from one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from bench.rows import ATTEMPTS, EVENTS, JOBS, queued_job, row_of
from container_manager.models import ExecutorHost, JobAttempt, JobEvent
from container_manager.states import Hold, Outcome, Status, Verb

AT_ONCE: Final = 50_000
NUMBERS: Final = {
    "postgresql": "generate_series(%s::bigint, %s::bigint) AS numbers(n)",
    "mysql": "(SELECT seq AS n FROM seq_1_to_1000000000 WHERE seq BETWEEN %s AND %s) AS numbers",
    "sqlite": "(WITH RECURSIVE up(n) AS (VALUES (%s) UNION ALL SELECT n + 1 FROM up WHERE n < %s) "
    "SELECT n FROM up) AS numbers",
}
ID: Final = {
    "postgresql": "lpad(to_hex(n), 32, '0')::uuid",
    "mysql": "CAST(LPAD(HEX(n), 32, '0') AS UUID)",
    "sqlite": "printf('%%032x', n)",
}
"""Ascending with the number, as the package's own ids are with time."""
QUEUED_AT: Final = {
    "postgresql": "%s::timestamptz + n * interval '1 microsecond'",
    "mysql": "TIMESTAMP(%s) + INTERVAL n MICROSECOND",
    "sqlite": "%s || printf('%%06d', n %% 1000000)",
}


def ready(count: int, first: int = 0, **fields: Any) -> int:
    """``count`` more jobs from number ``first`` on; returns the number after the last."""
    moment = (timezone.now() - timedelta(hours=1)).replace(microsecond=0)
    template = row_of(queued_job(queued_at=moment, **fields))
    begin = connection.ops.adapt_datetimefield_value(moment)
    if connection.vendor == "sqlite":
        begin = f"{moment:%Y-%m-%d %H:%M:%S}."
    made = {"id": (ID[connection.vendor], []), "queued_at": (QUEUED_AT[connection.vendor], [begin])}
    if fields.get("finished_at"):
        made["finished_at"] = made["queued_at"]
    _insert(JOBS, template, made, first, count)
    return first + count


def scheduled(count: int, first: int = 0) -> int:
    later = timezone.now() + timedelta(days=30)
    return ready(count, first, hold=Hold.SCHEDULE, hold_until=later, scheduled_for=later)


def finished(count: int, first: int = 0) -> int:
    """Each with its attempt and the event of its end."""
    now = timezone.now()
    host = ExecutorHost.objects.get()
    after = ready(
        count, first, status=Status.COMPLETED, attempt=1, outcome=Outcome.OK, exit_code=0, started_at=now,
        finished_at=now, launched_at=now,
    )  # fmt: skip
    made = {name: (ID[connection.vendor], []) for name in ("id", "job_id")}
    attempt = JobAttempt(
        number=1, host=host, launched_at=now, started_at=now, finished_at=now, exit_code=0, outcome=Outcome.OK
    )
    _insert(ATTEMPTS, row_of(attempt), made, first, count)
    event = JobEvent(attempt=1, verb=Verb.COMPLETE, actor="system", at=now)
    _insert(EVENTS, row_of(event), {"job_id": made["job_id"]}, first, count)
    return after


def restore() -> None:
    """What was claimed is ready again."""
    with connection.cursor() as cursor:
        for statement in (
            f"DELETE FROM {ATTEMPTS} WHERE active_job_id IS NOT NULL",  # noqa: S608 - our own names
            f"DELETE FROM {EVENTS} WHERE verb = 'claim'",  # noqa: S608 - our own names
            f"UPDATE {JOBS} SET status = 'queued', launched_at = NULL, worker = NULL, attempt = 0 "  # noqa: S608 - our own names
            "WHERE status = 'launching'",
        ):
            cursor.execute(statement)


def _insert(
    table: str, template: Mapping[str, Any], made: Mapping[str, tuple[str, list[Any]]], first: int, count: int
) -> None:
    quote = connection.ops.quote_name
    columns = {**{name: ("%s", [value]) for name, value in template.items()}, **made}
    values = ", ".join(expression for expression, _ in columns.values())
    bound = [value for _, values in columns.values() for value in values]
    statement = (
        f"INSERT INTO {quote(table)} ({', '.join(map(quote, columns))}) "  # noqa: S608 - our own names
        f"SELECT {values} FROM {NUMBERS[connection.vendor]}"
    )
    with connection.cursor() as cursor:
        for start in range(first, first + count, AT_ONCE):
            cursor.execute(statement, [*bound, start + 1, min(start + AT_ONCE, first + count)])
