"""Which row an argument means."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from container_manager.describing import SHORT, short_id
from container_manager.exceptions import JobNotFoundError
from container_manager.filtering import id_begins, id_digits, id_ends
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet

CANDIDATES: Final = 1000


def find_job(text: str) -> ContainerJob:
    """
    The job whose id begins or ends with ``text``, dashes or not, or is shown beginning so.

    ``JobNotFoundError`` when there is none, or several, which are listed.
    """
    digits = id_digits(text)
    if not digits:
        raise JobNotFoundError(f"{text!r} is not a job's id: give its first or last characters, 0-9 and a-f.")
    jobs = JobQuerySet(ContainerJob, using=JobQuerySet(ContainerJob).write_alias).order_by("-id")
    if len(digits) == 32:
        found = list(jobs.filter(pk=UUID(digits)))
    else:
        found = (
            list(jobs.filter(id_ends(digits))[:6]) or list(jobs.filter(id_begins(digits))[:6]) or _shown(digits, jobs)
        )
    if len(found) == 1:
        return found[0]
    if not found:
        raise JobNotFoundError(
            f"There is no job whose id, as a whole or as tables show it, begins or ends with {text!r}."
        )
    several = ", ".join(f"{short_id(job.pk)} ({job.status})" for job in found[:5])
    raise JobNotFoundError(
        f"{text!r} could be several jobs: {several}{', ...' if len(found) > 5 else ''}. Give more of it."
    )


def _shown(digits: str, jobs: JobQuerySet) -> list[ContainerJob]:
    """Those whose short id begins so, among the newest that have these digits anywhere."""
    if len(digits) >= SHORT:
        return []
    found = jobs.filter(pk__contains=digits)[:CANDIDATES]
    return [job for job in found if short_id(job.pk).startswith(digits)]
