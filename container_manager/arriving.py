"""The statements that insert jobs which are in the queue from the start, with their events, and tell listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_save, pre_save

from container_manager.journal import append_events, events_from
from container_manager.moving import Subject, Tables
from container_manager.sql.arrays import array_of
from container_manager.sql.columns import Column, columns_of, own_of, say
from container_manager.sql.statements import Statement
from container_manager.wakeup import woken

AT_ONCE: Final = 5_000
"""Rows of one INSERT."""


def insert_jobs(tables: Tables, jobs: Sequence[Any], using: str, event: Mapping[str, Any]) -> list[Subject]:
    """
    ``jobs``, new instances in order, are rows; each has an event with the columns of ``event``. Atomic.

    ``pre_save`` and ``post_save`` are sent for a single one, as by ``save()``.
    """
    if connections[using].vendor != "postgresql":
        with transaction.atomic(using=using):
            if len(jobs) == 1:
                jobs[0].save(using=using)
            else:
                tables.jobs._default_manager.using(using).bulk_create(jobs)
            subjects = [Subject(job.pk, job.attempt) for job in jobs]
            append_events(tables.jobs, tables.events, using, subjects, event)
        return subjects
    for job in jobs:
        job.prepare_insert()
    told = {"sender": tables.jobs, "raw": False, "using": using, "update_fields": None}
    if len(jobs) == 1:
        pre_save.send(instance=jobs[0], **told)
    with_files = [job for job in jobs if job.file_plan]
    with transaction.atomic(using=using) if len(jobs) > AT_ONCE or with_files else nullcontext():
        for start in range(0, len(jobs), AT_ONCE):
            _insert_at_once(tables, jobs[start : start + AT_ONCE], using, event)
        type(jobs[0]).inserted(with_files, using)
    for job in jobs:
        job._state.adding, job._state.db = False, using
        job.mark_as_loaded()
    if len(jobs) == 1:
        post_save.send(instance=jobs[0], created=True, **told)
    return [Subject(job.pk, job.attempt) for job in jobs]


def _insert_at_once(tables: Tables, jobs: Sequence[Any], using: str, event: Mapping[str, Any]) -> None:
    """PostgreSQL: rows, events and the notification in one statement, atomic by itself."""
    connection = connections[using]
    rows, bound = (
        _insertion_of_one(jobs[0], connection) if len(jobs) == 1 else _insertion(tables.jobs, jobs, connection)
    )
    events, more = events_from(tables.events, "arrived", connection, event)
    told = woken("arrived", is_one=len(jobs) == 1)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH arrived AS ({rows} RETURNING id, attempt, queue), noted AS ({events}) {told}", [*bound, *more]
        )


def _insertion_of_one(row: models.Model, connection: BaseDatabaseWrapper) -> Statement:
    own = own_of(zip(columns_of(type(row), connection).values(), _values_of(type(row))(row), strict=True))
    sql = _sql_of_one(type(row), connection.alias, tuple([column.field.name for column, _ in own]))
    return sql, [column.bind(value, connection) for column, value in own]


@lru_cache(maxsize=512)
def _sql_of_one(model: type[models.Model], using: str, own: tuple[str, ...]) -> str:
    """In VALUES constants are of their columns' types; in a SELECT each would be a cast."""
    connection = connections[using]
    names, values = say(columns_of(model, connection).values(), own, is_selected=False)
    table = connection.ops.quote_name(model._meta.db_table)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})"  # noqa: S608 - our own names


def _insertion(model: type[models.Model], rows: Sequence[models.Model], connection: BaseDatabaseWrapper) -> Statement:
    """
    The INSERT of ``rows``: what all share is said once, the rest is one array a column.

    Most of a job's columns are the defaults: that is less to send than COPY has.
    """
    shared: list[tuple[Column, Any]] = []
    own: list[tuple[Column, Sequence[Any]]] = []
    by_column = zip(*map(_values_of(model), rows), strict=True)
    for column, values in zip(columns_of(model, connection).values(), by_column, strict=True):
        if values.count(values[0]) < len(values):
            own.append((column, values))
        else:
            shared.append((column, values[0]))
    bound = own_of(shared)
    names, selected = say([column for column, _ in shared], {column.field.name for column, _ in bound})
    numbered = [f"own{number}" for number in range(len(own))]
    arrays = ", ".join(f"%s{column.cast}[]" for column, _ in own)
    columns = ", ".join([*names, *(column.name for column, _ in own)])
    table = connection.ops.quote_name(model._meta.db_table)
    statement = (
        f"INSERT INTO {table} ({columns}) SELECT {', '.join([*selected, *numbered])} "  # noqa: S608 - our own names
        f"FROM unnest({arrays}) AS own ({', '.join(numbered)})"
    )
    parameters = [column.bind(value, connection) for column, value in bound]
    return statement, [*parameters, *(array_of(column.field, values, connection) for column, values in own)]


@lru_cache
def _values_of(model: type[models.Model]) -> Callable[[models.Model], tuple[Any, ...]]:
    """What reads the value of every column of a row."""
    return attrgetter(*(field.attname for field in model._meta.concrete_fields))
