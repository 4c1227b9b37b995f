"""Many jobs into the queue, or out of it, in few statements; all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from container_manager import credentials, lifecycle
from container_manager.exceptions import DuplicateJobError, JobAlreadyQueuedError, JobValidationError
from container_manager.intake.admission import (
    check_capacity,
    refuse_impossible_limits,
    refuse_status,
    refuse_unserved_files,
)
from container_manager.intake.tracing import published, traced
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob
from container_manager.models.job import RESULT_CLEARED
from container_manager.models.lines import hold_for, line_of
from container_manager.models.uniqueness import naming_the_holder, slot_of
from container_manager.sql.rowvalues import each_row
from container_manager.states import Status, Verb

_AT_ONCE: Final = 1_000
"""Rows of one UPDATE: each may take a dozen parameters, and SQLite allows 32,766."""


def queue_many(jobs: Sequence[ContainerJob], *, using: str, actor: str = lifecycle.SYSTEM) -> list[ContainerJob]:
    """See ``JobQueueManager.queue_jobs``."""
    listed: set[UUID] = set()
    keys: dict[str, ContainerJob] = {}
    for job in jobs:
        refuse_status(job)
        if job.pk in listed:
            raise JobAlreadyQueuedError(f"Job {job.pk} is in the list twice; none was queued.")
        listed.add(job.pk)
        if job.unique_key is not None and keys.setdefault(job.unique_key, job) is not job:
            raise DuplicateJobError(job.unique_key, keys[job.unique_key])
        try:
            job.validate_specification()
        except JobValidationError as error:
            raise JobValidationError({**error.message_dict, "job": [f"This is job {job.pk}."]}) from error
    refuse_unserved_files(jobs, using)
    refuse_impossible_limits(jobs, using)
    check_capacity(len(jobs), using)
    credentials.warn_of(jobs)
    new = [job for job in jobs if job._state.adding]
    known = [job for job in jobs if not job._state.adding]
    first = timezone.now()
    stamps = {job.pk: first + timedelta(microseconds=position) for position, job in enumerate(jobs)}
    keyed = naming_the_holder(ContainerJob.objects.using(using), [job.unique_key for job in jobs])
    with published(jobs), keyed:
        moved = [
            _move([job for job in known if job.status == source], source, stamps, using, actor)
            for source in (Status.PENDING, Status.FAILED)
        ]
        _insert(new, using, stamps, actor=actor)
    # Only once all is written: a failure leaves the instances as they were.
    for job, values in (shown for written in moved for shown in written.items()):
        job.show_queued(values)
    return list(jobs)


def dequeue_many(jobs: Sequence[ContainerJob], *, using: str, actor: str) -> set[UUID]:
    """Those of ``jobs`` that are in the queue are PENDING; returns which."""
    moved = lifecycle.transition(
        TABLES, using, [Subject(job.pk, job.attempt) for job in jobs],
        to=Status.PENDING, verb=Verb.DEQUEUE, sources=[Status.QUEUED], actor=actor,
    )  # fmt: skip
    return {subject.job_id for subject in moved}


def _insert(jobs: Sequence[ContainerJob], using: str, stamps: Mapping[UUID, datetime], *, actor: str) -> None:
    if not jobs:
        return
    for job in jobs:
        job.status = Status.QUEUED
        job.queued_at = stamps[job.pk]
    lifecycle.insert_queued(TABLES, using, jobs, actor=actor)


def _move(
    jobs: Sequence[ContainerJob], source: Status, stamps: Mapping[UUID, datetime], using: str, actor: str
) -> dict[ContainerJob, dict[str, Any]]:
    """The rows of ``jobs``, all in ``source``, are queued; returns what each was given, for ``_show``."""
    written = {job: _queued_values(job, stamps[job.pk]) for job in jobs}
    shared = RESULT_CLEARED if source == Status.FAILED else {}
    for start in range(0, len(jobs), _AT_ONCE):
        group = jobs[start : start + _AT_ONCE]
        values = {
            name: each_row(ContainerJob, name, {job.pk: written[job][name] for job in group}, rows=len(group))
            for name in written[group[0]]
        }
        subjects = [Subject(job.pk, job.attempt) for job in group]
        moved = lifecycle.transition(
            TABLES, using, subjects,
            to=Status.QUEUED, verb=Verb.QUEUE, values={**values, **shared}, sources=[source], actor=actor,
        )  # fmt: skip
        if len(moved) < len(subjects):
            missing = next(subject.job_id for subject in subjects if subject not in moved)
            raise JobAlreadyQueuedError(f"Job {missing} left the status {source} meanwhile; none was queued.")
    return {job: {**values, **shared} for job, values in written.items()}


def _queued_values(job: ContainerJob, queued_at: datetime) -> dict[str, Any]:
    """What a saved job gets; with the hold goes what it was judged by, saved or not."""
    retries = 0 if job.status == Status.FAILED else job.retry_count
    line = line_of(job)
    hold, until = hold_for(job.scheduled_for, retries, job.max_retries, line)
    return {
        "queued_at": queued_at, "hold": hold, "hold_until": until, "line": line, "priority": job.priority,
        "scheduled_for": job.scheduled_for, "max_retries": job.max_retries,
        "expires_at": job.expiry(queued_at, job.scheduled_for),
        **({"unique_slot": slot_of(job.unique_key)} if job.status == Status.FAILED else {}),
        **traced(job),
    }  # fmt: skip
