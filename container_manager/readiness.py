"""Whether the queue's database can be asked."""

from __future__ import annotations

from django.db import DatabaseError

from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet


def database_problem() -> DatabaseError | None:
    """What the database says instead of an answer; ``None`` = it answers and has its tables."""
    try:
        list(JobQuerySet(ContainerJob, using=JobQuerySet(ContainerJob).write_alias).order_by()[:1].values("pk"))
    except DatabaseError as error:
        return error
    return None
