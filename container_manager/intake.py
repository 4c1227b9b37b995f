"""How jobs get into the queue: judged first, then written, all or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Case, DateTimeField, Value, When
from django.utils import timezone

from container_manager import conf, lifecycle
from container_manager.exceptions import (
    InvalidTransitionError,
    JobAlreadyQueuedError,
    JobNotFoundError,
    JobNotQueueableError,
    JobValidationError,
    QueueCapacityError,
    QueueError,
)
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob
from container_manager.models.job import RESULT_CLEARED, hold_for
from container_manager.states import Status, Verb

_FOR_GOOD: Final = frozenset({Status.COMPLETED, Status.CANCELLED})


def queue_one(job: ContainerJob, *, schedule_for: datetime | None, priority: int | None, using: str) -> ContainerJob:
    """See ``JobQueueManager.queue_job``."""
    _refuse_status(job)
    before = job.priority, job.scheduled_for
    if priority is not None:
        job.priority = priority
    if schedule_for is not None:
        job.scheduled_for = schedule_for
    try:
        job.validate_specification()
        check_capacity(1, using)
        if job._state.adding:
            _insert([job], using)
        else:
            job.mark_as_queued(priority=job.priority)
    except InvalidTransitionError as error:
        job.priority, job.scheduled_for = before
        raise _moved_meanwhile(job, using, error) from error
    except QueueError:
        job.priority, job.scheduled_for = before
        raise
    return job


def queue_many(jobs: Sequence[ContainerJob], *, using: str) -> list[ContainerJob]:
    """See ``JobQueueManager.queue_jobs``."""
    for job in jobs:
        _refuse_status(job)
        try:
            job.validate_specification()
        except JobValidationError as error:
            raise JobValidationError({**error.message_dict, "job": [f"This is job {job.pk}."]}) from error
    check_capacity(len(jobs), using)
    new = [job for job in jobs if job._state.adding]
    known = [job for job in jobs if not job._state.adding]
    stamps = {job.pk: stamp for job, stamp in zip(jobs, _stamps(len(jobs)), strict=True)}
    with transaction.atomic(using=using):
        _insert(new, using, stamps)
        _move(known, stamps, using)
    return list(jobs)


def clone(job: ContainerJob, changes: Mapping[str, Any], *, using: str) -> ContainerJob:
    """See ``JobQueueManager.clone_job``."""
    own = {"id", "created_at", "unique_key", "priority", "max_retries"}
    fields = {
        field.attname: getattr(job, field.attname)
        for field in ContainerJob._meta.concrete_fields
        if field.name not in ContainerJob.guarded_fields and field.name not in own
    }
    fields |= {"priority": job.priority, "max_retries": job.max_retries}
    copy = ContainerJob(**{**fields, **changes})
    copy.validate_specification()
    copy.save(using=using)
    return copy


def check_capacity(more: int, using: str) -> None:
    """
    ``QueueCapacityError`` when ``more`` jobs would take the queue past ``MAX_QUEUE_DEPTH``.

    Counts no further than the limit; what others have not committed yet is not counted.
    """
    limit = conf.get("MAX_QUEUE_DEPTH")
    if limit is None:
        return
    queued = ContainerJob.objects.using(using).filter(status=Status.QUEUED).order_by()
    depth = queued.values("pk")[: limit + 1].count()
    if depth + more > limit:
        raise QueueCapacityError(
            f"The queue holds {depth} jobs and takes {limit} (MAX_QUEUE_DEPTH): {more} more do not fit; try later."
        )


def _refuse_status(job: ContainerJob) -> None:
    if job._state.adding and job.status in (Status.PENDING, Status.QUEUED):
        return
    if job.status in _FOR_GOOD:
        raise JobNotQueueableError(
            f"Job {job.pk} is {job.status}, which is final. Run it again as a new job: queue_manager.clone_job(job)."
        )
    if job.status not in (Status.PENDING, Status.FAILED):
        raise JobAlreadyQueuedError(f"Job {job.pk} is {job.status} already; it cannot be queued twice.")


def _moved_meanwhile(job: ContainerJob, using: str, error: InvalidTransitionError) -> QueueError:
    row = ContainerJob.objects.using(using).filter(pk=job.pk).first()
    if row is None:
        return JobNotFoundError(f"Job {job.pk} is not in the database: it was deleted, or its transaction rolled back.")
    try:
        _refuse_status(row)
    except QueueError as refusal:
        return refusal
    return error


def _stamps(count: int) -> list[datetime]:
    first = timezone.now()
    return [first + timedelta(microseconds=position) for position in range(count)]


def _insert(jobs: Sequence[ContainerJob], using: str, stamps: Mapping[Any, datetime] | None = None) -> None:
    if not jobs:
        return
    for job in jobs:
        job.status = Status.QUEUED
        job.queued_at = stamps[job.pk] if stamps else timezone.now()
    with transaction.atomic(using=using):
        if len(jobs) == 1:
            jobs[0].save(using=using)
        else:
            ContainerJob.objects.using(using).bulk_create(jobs)
        lifecycle.announce_new(TABLES, using, [Subject(job.pk, job.attempt) for job in jobs], verb=Verb.QUEUE)


def _move(jobs: Sequence[ContainerJob], stamps: Mapping[Any, datetime], using: str) -> None:
    groups: dict[tuple[Any, ...], list[ContainerJob]] = {}
    for job in jobs:
        hold, until = hold_for(
            job.scheduled_for, 0 if job.status == Status.FAILED else job.retry_count, job.max_retries
        )
        groups.setdefault((Status(job.status), hold, until), []).append(job)
    for (source, hold, until), group in groups.items():
        queued_at = Case(*(When(pk=job.pk, then=Value(stamps[job.pk])) for job in group), output_field=DateTimeField())
        expiries = {job.pk: job.expiry(stamps[job.pk], job.scheduled_for) for job in group}
        limited = [When(pk=job_id, then=Value(moment)) for job_id, moment in expiries.items() if moment]
        expires_at = Case(*limited, output_field=DateTimeField()) if limited else None
        values: dict[str, Any] = {"queued_at": queued_at, "hold": hold, "hold_until": until, "expires_at": expires_at}
        if source == Status.FAILED:
            values |= RESULT_CLEARED
        subjects = [Subject(job.pk, job.attempt) for job in group]
        moved = lifecycle.transition(
            TABLES, ContainerJob.objects.using(using), subjects,
            to=Status.QUEUED, verb=Verb.QUEUE, values=values, sources=[source],
        )  # fmt: skip
        if len(moved) < len(subjects):
            missing = next(subject.job_id for subject in subjects if subject not in moved)
            raise JobAlreadyQueuedError(f"Job {missing} left the status {source} meanwhile; none was queued.")
        for job in group:
            job.status, job.hold, job.hold_until, job.queued_at = Status.QUEUED, hold, until, stamps[job.pk]
            job.expires_at = expiries[job.pk]
            if source == Status.FAILED:
                for name, value in {
                    **RESULT_CLEARED,
                    "launched_at": None,
                    "started_at": None,
                    "finished_at": None,
                }.items():
                    setattr(job, name, value)
            job.mark_as_loaded()
