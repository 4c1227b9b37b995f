"""
Hand-written SQL that writes the very same rows as this package does, batch by batch; the floor of what it could cost.

A job's life here and there: its row inserted once and updated three times, its attempt inserted
once and updated twice, four events; one transaction each for queueing, claim, start and end. No
checks, no engine, no heartbeat, no output, nobody else at work. PostgreSQL through psycopg.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from psycopg import sql
from uuid_utils.compat import uuid7

from bench.child import StartLine
from bench.rows import ATTEMPTS, EVENTS, JOBS, event_row, insert_statement, queued_job, row_of, text_of
from bench.timing import timed
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import TERMINAL, Verb

IN_HAND = 100

QUEUE: Final = (
    f"UPDATE {JOBS} SET status = 'queued', queued_at = statement_timestamp() "  # noqa: S608 - our own names
    "WHERE id = %s AND status = 'pending' AND attempt = 0"
)
PICK: Final = f"""
WITH pick AS MATERIALIZED (
    SELECT id FROM {JOBS} WHERE queue = 'default' AND status = 'queued' AND hold = ''
    ORDER BY priority DESC, queued_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE {JOBS} AS job SET status = 'launching', hold_until = NULL, hold_reason = '', expires_at = NULL,
    launched_at = statement_timestamp(), attempt = attempt + 1, worker = %s
FROM pick WHERE job.id = pick.id RETURNING job.id, job.attempt
"""  # noqa: S608 - our own names
EVENT: Final = f"""
INSERT INTO {EVENTS} (job_id, attempt, at, verb, actor, message, data)
SELECT id, attempt, statement_timestamp(), %s, %s, '', %s::jsonb FROM {JOBS} WHERE id = ANY(%s)
"""  # noqa: S608 - our own names
START: Final = (
    f"UPDATE {JOBS} SET status = 'running', started_at = statement_timestamp() "  # noqa: S608 - our own names
    "WHERE id = ANY(%s) AND status = 'launching' AND worker = %s",
    f"UPDATE {ATTEMPTS} SET started_at = statement_timestamp(), execution_id = 'cm-' || job_id::text "  # noqa: S608 - our own names
    "WHERE active_job_id = ANY(%s)",
)
END: Final = (
    f"UPDATE {JOBS} SET status = 'completed', finished_at = statement_timestamp(), worker = NULL, "  # noqa: S608 - our own names
    "exit_code = 0, outcome = 'ok' WHERE id = ANY(%s) AND status = 'running' AND worker = %s",
    f"UPDATE {ATTEMPTS} SET finished_at = statement_timestamp(), engine_finished_at = statement_timestamp(), "  # noqa: S608 - our own names
    "worker = NULL, exit_code = 0, outcome = 'ok', active_job_id = NULL WHERE active_job_id = ANY(%s)",
)


def version() -> str:
    return f"psycopg {psycopg.__version__}"


def prepare(_: StartLine) -> None:
    call_command("migrate", verbosity=0)
    ExecutorHost.objects.create(name="floor", executor_type="fake", max_concurrent_jobs=10_000)


def driver() -> psycopg.Connection[Any]:
    connection.ensure_connection()
    settings = connection.get_connection_params()
    wanted = ("dbname", "host", "port", "user", "password")
    return psycopg.connect(**{key: settings[key] for key in wanted if settings.get(key)}, autocommit=True)


def enqueue_one(start_line: StartLine, count: int) -> dict[str, Any]:
    job, event, insert_job, insert_event = _templates()
    with driver() as session:

        def work() -> None:
            for _ in range(count):
                job["id"] = event["job_id"] = uuid7()
                with session.transaction():
                    session.execute(insert_job, list(job.values()))
                    session.execute(insert_event, list(event.values()))

        return timed(start_line, count, work)


def enqueue_one_in_transaction(start_line: StartLine, count: int) -> dict[str, Any]:
    job, event, insert_job, insert_event = _templates()
    with driver() as session:

        def work() -> None:
            with session.transaction():
                for _ in range(count):
                    job["id"] = event["job_id"] = uuid7()
                    session.execute(insert_job, list(job.values()))
                    session.execute(insert_event, list(event.values()))

        return timed(start_line, count, work)


def create_then_queue(start_line: StartLine, count: int) -> dict[str, Any]:
    """A pending row is inserted and committed; then it is queued, with its event."""
    job, event, insert_job, insert_event = _templates()
    pending = {**job, "status": "pending", "queued_at": None}
    with driver() as session:

        def work() -> None:
            for _ in range(count):
                pending["id"] = event["job_id"] = uuid7()
                session.execute(insert_job, list(pending.values()))
                with session.transaction():
                    session.execute(QUEUE, [pending["id"]])
                    session.execute(insert_event, list(event.values()))

        return timed(start_line, count, work)


def enqueue_bulk(start_line: StartLine, count: int, **fields: Any) -> dict[str, Any]:
    job, event, _, _ = _templates(**fields)
    with driver() as session:

        def work() -> None:
            ids = [uuid7() for _ in range(count)]
            with session.transaction(), session.cursor() as cursor:
                _copy(cursor, JOBS, [{**job, "id": key} for key in ids])
                _copy(cursor, EVENTS, [{**event, "job_id": key} for key in ids])

        return timed(start_line, count, work)


def fill(start_line: StartLine, count: int, environment_bytes: int = 0) -> dict[str, Any]:
    fields = {"environment": {"DATA": text_of(environment_bytes)}} if environment_bytes else {}
    return enqueue_bulk(start_line, count, **fields)


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    host = ExecutorHost.objects.get()
    worker = uuid4()
    template = row_of(JobAttempt(job_id=worker, active_job_id=worker, number=1, host=host, launched_at=timezone.now()))
    with driver() as session:
        return timed(start_line, count, lambda: _drain(session, worker, template))


def unfinished(_: StartLine) -> dict[str, int]:
    return {"count": ContainerJob.objects.exclude(status__in=TERMINAL).count()}


def _drain(session: psycopg.Connection[Any], worker: UUID, template: dict[str, Any]) -> None:
    while ids := _claim(session, worker, template):
        for updates, verb in ((START, Verb.START), (END, Verb.COMPLETE)):
            with session.transaction():
                session.execute(updates[0], [ids, worker])
                session.execute(updates[1], [ids])
                session.execute(EVENT, [verb.value, str(worker), '{"exit_code": 0}', ids])


def _claim(session: psycopg.Connection[Any], worker: UUID, template: dict[str, Any]) -> list[UUID]:
    with session.transaction(), session.cursor() as cursor:
        moved = cursor.execute(PICK, [IN_HAND, worker]).fetchall()
        if not moved:
            return []
        ids = [job_id for job_id, _ in moved]
        attempts = [
            {**template, "id": uuid7(), "job_id": job_id, "active_job_id": job_id, "number": number, "worker": worker}
            for job_id, number in moved
        ]
        _copy(cursor, ATTEMPTS, attempts)
        cursor.execute(EVENT, [Verb.CLAIM.value, str(worker), '{"host": "floor"}', ids])
        return ids


def _templates(**fields: Any) -> tuple[dict[str, Any], dict[str, Any], str, str]:
    instance = queued_job(**fields)
    job, event = row_of(instance), event_row(instance, Verb.QUEUE.value)
    return job, event, insert_statement(JOBS, list(job)), insert_statement(EVENTS, list(event))


def _copy(cursor: psycopg.Cursor[Any], table: str, rows: list[dict[str, Any]]) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, rows[0]))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
    with cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(list(row.values()))
