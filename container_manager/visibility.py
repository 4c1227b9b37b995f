"""Which jobs a user may see: one hook of the project, asked by every face that shows jobs to users."""

from __future__ import annotations

from typing import Any

from django.utils.module_loading import import_string

from container_manager import conf
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet


def visible_jobs(user: Any) -> JobQuerySet:
    """The jobs that ``user`` may see: all, unless the setting ``VISIBLE_JOBS`` narrows them."""
    jobs = JobQuerySet(ContainerJob)
    jobs = jobs.using(jobs.write_alias)
    path = conf.get("VISIBLE_JOBS")
    narrowed: JobQuerySet = import_string(path)(jobs, user) if path else jobs
    return narrowed
