"""A queued job's row as this package writes it: what hand-written SQL and the fillers start from."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any, Final

from django.db import connection, models
from django.utils import timezone

from container_manager.models import ContainerJob, JobAttempt, JobEvent
from container_manager.states import Status

JOBS: Final = ContainerJob._meta.db_table
ATTEMPTS: Final = JobAttempt._meta.db_table
EVENTS: Final = JobEvent._meta.db_table


def queued_job(**fields: Any) -> ContainerJob:
    """An unsaved job as ``queue_job`` would insert it."""
    job = ContainerJob(**{"command": "true", "status": Status.QUEUED, "queued_at": timezone.now(), **fields})
    job.prepare_insert()
    return job


def text_of(length: int) -> str:
    """As long as that, the same each time, and not to be compressed much."""
    return base64.b64encode(random.Random(length).randbytes(length))[:length].decode()  # noqa: S311


def row_of(instance: models.Model) -> dict[str, Any]:
    """Each column of ``instance`` and what the driver is given for it; an id that the database makes is left out."""
    return {
        str(field.column): field.get_db_prep_save(getattr(instance, field.attname), connection)
        for field in instance._meta.concrete_fields
        if not (isinstance(field, models.AutoField) and instance.pk is None)
    }


def event_row(job: ContainerJob, verb: str) -> dict[str, Any]:
    return row_of(JobEvent(job_id=job.pk, attempt=job.attempt, verb=verb, actor="system", at=timezone.now()))


def insert_statement(table: str, columns: Iterator[str] | list[str]) -> str:
    """``INSERT`` of one row with every column bound."""
    names = list(columns)
    quote = connection.ops.quote_name
    slots = ", ".join(["%s"] * len(names))
    return f"INSERT INTO {quote(table)} ({', '.join(map(quote, names))}) VALUES ({slots})"  # noqa: S608 - our own names
