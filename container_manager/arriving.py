"""The statements that insert jobs which are in the queue from the start, with their events, and tell listeners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_save, pre_save

from container_manager.journal import Statement, append_events, events_from, slot
from container_manager.moving import Subject, Tables
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
    rows, bound = _insertion(tables.jobs, jobs, connection)
    events, more = events_from(tables.events, "arrived", connection, event)
    statement = f"WITH arrived AS ({rows} RETURNING id, attempt, queue), noted AS ({events}) "
    with connection.cursor() as cursor:
        cursor.execute(statement + woken("arrived"), [*bound, *more])


def _insertion(model: type[models.Model], rows: Sequence[models.Model], connection: BaseDatabaseWrapper) -> Statement:
    """
    The INSERT of ``rows``: what all share is bound once, the rest as one array a column.

    Most of a job's columns are the defaults: that is less to send than COPY has.
    """
    quote = connection.ops.quote_name
    shared: list[models.Field[Any, Any]] = []
    own: dict[models.Field[Any, Any], list[Any]] = {}
    for field in model._meta.concrete_fields:
        values = [getattr(row, field.attname) for row in rows]
        if all(value == values[0] for value in values):
            shared.append(field)
        else:
            own[field] = values
    bound = [field.get_db_prep_save(getattr(rows[0], field.attname), connection) for field in shared]
    columns = ", ".join(quote(str(field.column)) for field in [*shared, *own])
    target = f"INSERT INTO {quote(model._meta.db_table)} ({columns})"
    if not own:
        return f"{target} VALUES ({', '.join(['%s'] * len(bound))})", bound
    arrays = ", ".join(f"%s::{field.db_type(connection)}[]" for field in own)
    names = [f"own{number}" for number in range(len(own))]
    selected = ", ".join([*(slot(field, connection) for field in shared), *names])
    bound += [[field.get_db_prep_save(value, connection) for value in values] for field, values in own.items()]
    return f"{target} SELECT {selected} FROM unnest({arrays}) AS own ({', '.join(names)})", bound  # noqa: S608
