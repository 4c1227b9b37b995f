"""Rows that come with a move of jobs, appended cheaply: one statement for a group, what they share bound once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from container_manager.sql.arrays import among
from container_manager.sql.columns import columns_of, own_of, say
from container_manager.sql.statements import Statement


def insertion(
    model: type[models.Model],
    source: str,
    connection: BaseDatabaseWrapper,
    *,
    copied: Mapping[str, str],
    shared: Mapping[str, Any],
    each: Mapping[str, Statement] | None = None,
) -> Statement:
    """
    A row of ``model`` for each row of ``source``, which has the columns of jobs.

    ``copied``: field <- column of the source; ``shared``: field <- the value of all; ``each``:
    field <- what gives the value of each. A thousand rows cost a thousand bound ids, not
    ten thousand values. Written as SQL: these rows are a large part of what a job costs.
    """
    columns = columns_of(model, connection)
    each = each or {}
    own = own_of((columns[name], value) for name, value in shared.items())
    own_names = tuple([column.field.name for column, _ in own])
    names, selected = _said(model, connection.alias, tuple(copied.items()), tuple(shared), own_names)
    bound = [column.bind(value, connection) for column, value in own]
    for name, (part, parameters) in each.items():
        names, selected = f"{names}, {columns[name].name}", f"{selected}, {part}"
        bound += parameters
    target = connection.ops.quote_name(model._meta.db_table)
    return f"INSERT INTO {target} ({names}) SELECT {selected} FROM {source}", bound  # noqa: S608 - our own names


@lru_cache(maxsize=512)
def _said(
    model: type[models.Model],
    using: str,
    copied: tuple[tuple[str, str], ...],
    shared: tuple[str, ...],
    own: tuple[str, ...],
) -> tuple[str, str]:
    """The names of the columns, and what is selected for them: the same however many rows there are."""
    connection = connections[using]
    columns = columns_of(model, connection)
    names, values = say([columns[name] for name in shared], own)
    named = [*(columns[name].name for name, _ in copied), *names]
    selected = [*(connection.ops.quote_name(column) for _, column in copied), *values]
    return ", ".join(named), ", ".join(selected)


def rows_of(jobs: type[models.Model], ids: Sequence[UUID], connection: BaseDatabaseWrapper) -> Statement:
    """The rows of ``jobs`` with these ids, as a source of ``insertion``."""
    condition, keys = among(ids, jobs._meta.pk, connection)
    return f"{connection.ops.quote_name(jobs._meta.db_table)} WHERE {condition}", keys


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
