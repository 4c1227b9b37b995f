"""One job into the queue, out of it, and once more; a job with a ``unique_key`` meets the one that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Final, Literal, get_args

from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from container_manager import credentials, lifecycle
from container_manager.exceptions import (
    DuplicateJobError,
    InvalidTransitionError,
    JobNotFoundError,
    JobNotQueueableError,
    JobNotQueuedError,
    QueueError,
)
from container_manager.intake.admission import (
    check_capacity,
    refuse_impossible_limits,
    refuse_status,
    refuse_unserved_files,
)
from container_manager.intake.tracing import published, traced
from container_manager.models import TABLES, ContainerJob
from container_manager.models.uniqueness import naming_the_holder
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.states import Status
from container_manager.withdrawing import cancel_unstarted

OnConflict = Literal["raise", "return", "replace"]
_KEY_TRIES: Final = 5
_UNSTARTED: Final = frozenset({Status.PENDING, Status.QUEUED})


def queue_one(
    job: ContainerJob,
    *,
    using: str,
    schedule_for: datetime | None = None,
    priority: int | None = None,
    on_conflict: OnConflict = "raise",
    actor: str = lifecycle.SYSTEM,
) -> ContainerJob:
    """See ``JobQueueManager.queue_job``."""
    refuse_status(job)
    if on_conflict not in get_args(OnConflict):
        raise ValueError(f"on_conflict is {on_conflict!r}; give one of {', '.join(get_args(OnConflict))}.")
    before = job.priority, job.scheduled_for
    if priority is not None:
        job.priority = priority
    if schedule_for is not None:
        job.scheduled_for = schedule_for
    try:
        job.validate_specification()
        refuse_unserved_files([job], using)
        refuse_impossible_limits([job], using)
        check_capacity(1, using)
        credentials.warn_of([job])
        with published([job]):
            return _enter(job, using, on_conflict=on_conflict, actor=actor)
    except InvalidTransitionError as error:
        job.priority, job.scheduled_for = before
        raise _moved_meanwhile(job, using, error) from error
    except QueueError:
        job.priority, job.scheduled_for = before
        raise


def retry_one(job: ContainerJob, *, using: str, actor: str) -> ContainerJob:
    """See ``JobQueueManager.retry_job``."""
    if job.status != Status.FAILED:
        raise JobNotQueueableError(f"Job {job.pk} is {job.status}; only a failed job is retried.")
    return queue_one(job, using=using, actor=actor)


def dequeue_one(job: ContainerJob, *, actor: str) -> ContainerJob:
    """See ``JobQueueManager.dequeue_job``."""
    never_launched = job.status == Status.FAILED and job.launched_at is None
    try:
        if job.status != Status.QUEUED and not never_launched:
            raise JobNotQueuedError(f"Job {job.pk} is {job.status}, not in the queue: there is nothing to take out.")
        job.transition_to(Status.PENDING, actor=actor)
    except InvalidTransitionError as error:
        raise JobNotQueuedError(f"Job {job.pk} left the queue meanwhile. {error}") from error
    return job


def clone(job: ContainerJob, changes: Mapping[str, Any], *, using: str) -> ContainerJob:
    """See ``JobQueueManager.clone_job``."""
    own = {"id", "created_at", "unique_key", "priority", "max_retries", "trace_context", "batch"}
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


def _enter(job: ContainerJob, using: str, *, on_conflict: OnConflict, actor: str) -> ContainerJob:
    """
    The job that is in the queue now: ``job``, or with ``return`` the one that holds its key.

    Written first, and only what the unique column refuses is looked at: no look before it could be trusted.
    """
    if job.unique_key is None:
        _put(job, using, actor=actor)
        return job
    holder: ContainerJob | None = None
    for _ in range(_KEY_TRIES):
        try:
            return _put_keyed(job, holder, using, actor=actor)
        except DuplicateJobError as error:
            holder = error.holder
            if on_conflict == "return":
                return error.holder  # type: ignore[no-any-return]
            if on_conflict == "raise" or error.holder.status not in _UNSTARTED:
                raise
        except IntegrityError:
            holder = None  # it ended between the write and the look for it
    return _put_keyed(job, holder, using, actor=actor)


def _put_keyed(job: ContainerJob, replaced: ContainerJob | None, using: str, *, actor: str) -> ContainerJob:
    def put() -> None:
        with transaction.atomic(using=using):
            if replaced is not None:
                cancel_unstarted([replaced], using=using, actor=actor, message=f"Replaced by job {job.pk}.")
            _put(job, using, actor=actor)

    put() if connections[using].in_atomic_block else retry_on_conflict(put)
    return job


def _put(job: ContainerJob, using: str, *, actor: str) -> None:
    if not job._state.adding:
        job.mark_as_queued(priority=job.priority, actor=actor, **traced(job))
        return
    before = job.status, job.queued_at
    key = job.unique_key
    try:
        with nullcontext() if key is None else naming_the_holder(ContainerJob.objects.using(using), [key]):
            job.status, job.queued_at = Status.QUEUED, timezone.now()
            lifecycle.insert_queued(TABLES, using, [job], actor=actor)
    except (IntegrityError, DuplicateJobError):
        job.status, job.queued_at = before
        raise


def _moved_meanwhile(job: ContainerJob, using: str, error: InvalidTransitionError) -> QueueError:
    row = ContainerJob.objects.using(using).filter(pk=job.pk).first()
    if row is None:
        return JobNotFoundError(f"Job {job.pk} is not in the database: it was deleted, or its transaction rolled back.")
    try:
        refuse_status(row)
    except QueueError as refusal:
        return refusal
    return error
