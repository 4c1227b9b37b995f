"""Rows that come with a move of jobs, appended cheaply: one statement for a group, what they share bound once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from container_manager.sql.columns import columns_of, say
from container_manager.sql.statements import Statement


def insertion(
    model: type[models.Model],
    source: str,
    connection: BaseDatabaseWrapper,
    *,
    copied: Mapping[str, str],
    shared: Mapping[str, Any],
    own: Mapping[str, Statement] | None = None,
) -> Statement:
    """
    A row of ``model`` for each row of ``source``, which has the columns of jobs.

    ``copied``: field <- column of the source; ``shared``: field <- the value of all; ``own``:
    field <- what gives the value of each. A thousand rows cost a thousand bound ids, not
    ten thousand values. Written as SQL: these rows are a large part of what a job costs.
    """
    columns = columns_of(model, connection)
    quote = connection.ops.quote_name
    said = say(((columns[name], value) for name, value in shared.items()), connection)
    names = [*(columns[name].name for name in copied), *said.names]
    selected = [*map(quote, copied.values()), *said.values]
    bound = said.bound
    for name, (expression, parameters) in (own or {}).items():
        names.append(columns[name].name)
        selected.append(expression)
        bound += parameters
    target = quote(model._meta.db_table)
    return f"INSERT INTO {target} ({', '.join(names)}) SELECT {', '.join(selected)} FROM {source}", bound  # noqa: S608 - our own names


def rows_of(jobs: type[models.Model], ids: Sequence[UUID], connection: BaseDatabaseWrapper) -> Statement:
    """The rows of ``jobs`` with these ids, as a source of ``insertion``."""
    quote = connection.ops.quote_name
    keys = [jobs._meta.pk.get_db_prep_value(key, connection) for key in ids]
    return f"{quote(jobs._meta.db_table)} WHERE {quote('id')} IN ({', '.join(['%s'] * len(keys))})", keys


def events_from(
    events: type[models.Model], source: str, connection: BaseDatabaseWrapper, shared: Mapping[str, Any]
) -> Statement:
    """One event for each row of ``source``, with the columns of ``shared``; the job's attempt is the event's."""
    values = {"at": timezone.now(), **shared}
    return insertion(events, source, connection, copied={"job": "id", "attempt": "attempt"}, shared=values)


def append_events(
    jobs: type[models.Model],
    events: type[models.Model],
    using: str,
    subjects: Sequence[tuple[UUID, int]],
    shared: Mapping[str, Any],
) -> None:
    """One event per (job, attempt), with the columns of ``shared``, in the caller's transaction."""
    if not subjects:
        return
    connection = connections[using]
    source, keys = rows_of(jobs, [job_id for job_id, _ in subjects], connection)
    statement, bound = events_from(events, source, connection, shared)
    with connection.cursor() as cursor:
        cursor.execute(statement, [*bound, *keys])
