"""How jobs get into the queue, judged first, then written, all or none; and out of it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args
from uuid import UUID

from django.db import IntegrityError, connections, transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from container_manager import conf, hosts, lifecycle, telemetry
from container_manager.conflicts import retry_on_conflict
from container_manager.exceptions import (
    DuplicateJobError,
    InvalidTransitionError,
    JobAlreadyQueuedError,
    JobNotFoundError,
    JobNotQueueableError,
    JobNotQueuedError,
    JobValidationError,
    QueueCapacityError,
    QueueError,
)
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob
from container_manager.models.job import RESULT_CLEARED, hold_for
from container_manager.models.lines import line_of
from container_manager.models.uniqueness import naming_the_holder, slot_of
from container_manager.secret_references import has_files
from container_manager.states import Status, Verb
from container_manager.withdrawing import cancel_unstarted

OnConflict = Literal["raise", "return", "replace"]
_KEY_TRIES: Final = 5
_UNSTARTED: Final = frozenset({Status.PENDING, Status.QUEUED})
_FOR_GOOD: Final = frozenset({Status.COMPLETED, Status.CANCELLED})
_AT_ONCE: Final = 1_000
"""Rows of one UPDATE: each may take a dozen parameters, and SQLite allows 32,766."""


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
    _refuse_status(job)
    if on_conflict not in get_args(OnConflict):
        raise ValueError(f"on_conflict is {on_conflict!r}; give one of {', '.join(get_args(OnConflict))}.")
    before = job.priority, job.scheduled_for
    if priority is not None:
        job.priority = priority
    if schedule_for is not None:
        job.scheduled_for = schedule_for
    try:
        job.validate_specification()
        _refuse_unserved_files([job], using)
        check_capacity(1, using)
        with _published([job]):
            return _enter(job, using, on_conflict=on_conflict, actor=actor)
    except InvalidTransitionError as error:
        job.priority, job.scheduled_for = before
        raise _moved_meanwhile(job, using, error) from error
    except QueueError:
        job.priority, job.scheduled_for = before
        raise


def queue_many(jobs: Sequence[ContainerJob], *, using: str, actor: str = lifecycle.SYSTEM) -> list[ContainerJob]:
    """See ``JobQueueManager.queue_jobs``."""
    listed: set[UUID] = set()
    keys: dict[str, ContainerJob] = {}
    for job in jobs:
        _refuse_status(job)
        if job.pk in listed:
            raise JobAlreadyQueuedError(f"Job {job.pk} is in the list twice; none was queued.")
        listed.add(job.pk)
        if job.unique_key is not None and keys.setdefault(job.unique_key, job) is not job:
            raise DuplicateJobError(job.unique_key, keys[job.unique_key])
        try:
            job.validate_specification()
        except JobValidationError as error:
            raise JobValidationError({**error.message_dict, "job": [f"This is job {job.pk}."]}) from error
    _refuse_unserved_files(jobs, using)
    check_capacity(len(jobs), using)
    new = [job for job in jobs if job._state.adding]
    known = [job for job in jobs if not job._state.adding]
    stamps = {job.pk: stamp for job, stamp in zip(jobs, _stamps(len(jobs)), strict=True)}
    keyed = naming_the_holder(ContainerJob.objects.using(using), [job.unique_key for job in jobs])
    with _published(jobs), keyed:
        moved = [
            _move([job for job in known if job.status == source], source, stamps, using, actor)
            for source in (Status.PENDING, Status.FAILED)
        ]
        _insert(new, using, stamps, actor=actor)
    for written in moved:
        _show(written)
    return list(jobs)


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


def dequeue_many(jobs: Sequence[ContainerJob], *, using: str, actor: str) -> set[UUID]:
    """Those of ``jobs`` that are in the queue are PENDING; returns which."""
    moved = lifecycle.transition(
        TABLES, ContainerJob.objects.using(using), [Subject(job.pk, job.attempt) for job in jobs],
        to=Status.PENDING, verb=Verb.DEQUEUE, sources=[Status.QUEUED], actor=actor,
    )  # fmt: skip
    return {subject.job_id for subject in moved}


def clone(job: ContainerJob, changes: Mapping[str, Any], *, using: str) -> ContainerJob:
    """See ``JobQueueManager.clone_job``."""
    own = {"id", "created_at", "unique_key", "priority", "max_retries", "trace_context"}
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


def _refuse_unserved_files(jobs: Sequence[ContainerJob], using: str) -> None:
    """Where jobs have files, or secrets as files. One query for each of their queues."""
    for queue in {job.queue for job in jobs if job.file_plan or has_files(job.secrets)}:
        problem = hosts.why_no_files(using, queue)
        if problem:
            raise JobValidationError({"queue": [problem]})


def _refuse_status(job: ContainerJob) -> None:
    if job._state.adding and job.status in (Status.PENDING, Status.QUEUED):
        return
    if job.status in _FOR_GOOD:
        raise JobNotQueueableError(
            f"Job {job.pk} is {job.status}, which is final. Run it again as a new job: queue_manager.clone_job(job)."
        )
    if job.status not in (Status.PENDING, Status.FAILED):
        raise JobAlreadyQueuedError(f"Job {job.pk} is {job.status} already; it cannot be queued twice.")


@contextmanager
def _published(jobs: Sequence[ContainerJob]) -> Iterator[None]:
    """Where the process traces, the jobs carry the context of the span in which they are queued."""
    if not telemetry.is_tracing() or not jobs:
        yield
        return
    with telemetry.publishing([job.queue for job in jobs], [job.pk for job in jobs]) as context:
        for job in jobs:
            job.trace_context = context
        yield


def _traced(job: ContainerJob) -> dict[str, Any]:
    """What a row that is there already gets of it."""
    return {"trace_context": job.trace_context} if telemetry.is_tracing() else {}


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
        job.mark_as_queued(priority=job.priority, actor=actor, **_traced(job))
        return
    before = job.status, job.queued_at
    rows, key = ContainerJob.objects.using(using), job.unique_key
    try:
        with naming_the_holder(rows, [key]) if key is not None else nullcontext():
            _insert([job], using, actor=actor)
    except (IntegrityError, DuplicateJobError):
        job.status, job.queued_at = before
        raise


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


def _insert(
    jobs: Sequence[ContainerJob], using: str, stamps: Mapping[Any, datetime] | None = None, *, actor: str
) -> None:
    if not jobs:
        return
    for job in jobs:
        job.status = Status.QUEUED
        job.queued_at = stamps[job.pk] if stamps else timezone.now()
    lifecycle.insert_queued(TABLES, using, jobs, actor=actor)


def _move(
    jobs: Sequence[ContainerJob], source: Status, stamps: Mapping[Any, datetime], using: str, actor: str
) -> dict[ContainerJob, dict[str, Any]]:
    """The rows of ``jobs``, all in ``source``, are queued; returns what each was given, for ``_show``."""
    written = {job: _queued_values(job, stamps[job.pk]) for job in jobs}
    shared = RESULT_CLEARED if source == Status.FAILED else {}
    for start in range(0, len(jobs), _AT_ONCE):
        group = jobs[start : start + _AT_ONCE]
        values = {
            name: _each_row(name, {job: written[job][name] for job in group})
            for name in written[group[0]]
        }  # fmt: skip
        subjects = [Subject(job.pk, job.attempt) for job in group]
        moved = lifecycle.transition(
            TABLES, ContainerJob.objects.using(using), subjects,
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
        **_traced(job),
    }  # fmt: skip


def _each_row(name: str, values: Mapping[ContainerJob, Any]) -> Any:
    """The value itself where all share it, else to each row its own."""
    first = next(iter(values.values()))
    if all(value == first for value in values.values()):
        return first
    field = next(field for field in ContainerJob._meta.concrete_fields if field.name == name)
    known = ((job, value) for job, value in values.items() if value is not None)
    return Case(*(When(pk=job.pk, then=Value(value)) for job, value in known), output_field=field)


def _show(written: Mapping[ContainerJob, Mapping[str, Any]]) -> None:
    """The instances are as their rows are. Only once all is written: a failure leaves them as they were."""
    unstarted = {"launched_at": None, "started_at": None, "finished_at": None, "worker": None, "hold_reason": ""}
    for job, values in written.items():
        for name, value in {"status": Status.QUEUED, **unstarted, **values}.items():
            setattr(job, name, value)
        job.mark_as_loaded()
