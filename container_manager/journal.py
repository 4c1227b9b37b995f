"""Appending events cheaply: one statement for a group, with what its events share bound once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone


def append_events(
    jobs: type[models.Model],
    events: type[models.Model],
    using: str,
    subjects: Sequence[tuple[UUID, int]],
    shared: Mapping[str, Any],
) -> None:
    """
    One event per (job, attempt), with the columns of ``shared``, in the caller's transaction.

    A group is inserted from its own job rows, whose ``attempt`` is the event's: a thousand
    events cost a thousand bound ids, not seven thousand values. Written as SQL, since four
    events a job are a large part of what a job costs.
    """
    if not subjects:
        return
    connection = connections[using]
    values = {"at": timezone.now(), **shared}
    columns = {field.name: field for field in events._meta.concrete_fields}
    bound = [columns[name].get_db_prep_save(value, connection) for name, value in values.items()]
    slots = [_slot(columns[name], connection) for name in values]
    quote = connection.ops.quote_name
    names = ", ".join(quote(str(columns[name].column)) for name in ("job", "attempt", *values))
    target = f"INSERT INTO {quote(events._meta.db_table)} ({names})"
    with connection.cursor() as cursor:
        if len(subjects) == 1:
            job_id, attempt = subjects[0]
            key = _key(jobs, job_id, connection)
            cursor.execute(f"{target} VALUES (%s, %s, {', '.join(slots)})", [key, attempt, *bound])
            return
        ids = [_key(jobs, job_id, connection) for job_id, _ in subjects]
        cursor.execute(
            f"{target} SELECT {quote('id')}, {quote('attempt')}, {', '.join(slots)} FROM {quote(jobs._meta.db_table)} "  # noqa: S608
            f"WHERE {quote('id')} IN ({', '.join(['%s'] * len(ids))})",
            [*bound, *ids],
        )


def _key(jobs: type[models.Model], job_id: UUID, connection: BaseDatabaseWrapper) -> Any:
    return jobs._meta.pk.get_db_prep_value(job_id, connection)


def _slot(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> str:
    # In a SELECT, PostgreSQL takes a bare NULL or string for text.
    return f"%s::{field.db_type(connection)}" if connection.vendor == "postgresql" else "%s"
