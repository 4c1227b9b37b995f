"""Batches: queued together, cancelled together, and completed when the last job has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.module_loading import import_string

from container_manager import intake, lifecycle, stopping
from container_manager.exceptions import InvalidTransitionError, JobValidationError
from container_manager.handlers import outbox, registry
from container_manager.models import ContainerJob, JobBatch
from container_manager.sql.clock import DatabaseNow
from container_manager.states import ACTIVE, TERMINAL, Status
from container_manager.validation import whole_number_problems
from container_manager.withdrawing import cancel_unstarted

_PAGE: Final = 500
_UNFINISHED: Final = [status for status in Status if status not in TERMINAL]
OnComplete = str | Callable[[JobBatch], Any]


def queue_batch(
    jobs: Sequence[ContainerJob],
    *,
    using: str,
    name: str = "",
    max_running: int | None = None,
    on_complete: OnComplete = "",
    actor: str = lifecycle.SYSTEM,
) -> JobBatch:
    """See ``JobQueueManager.queue_batch``."""
    if max_running is not None and (problems := whole_number_problems(max_running, 1)):
        raise JobValidationError({"max_running": problems})
    batch = JobBatch(name=name, total=len(jobs), max_running=max_running, on_complete=_path(on_complete))
    for job in jobs:
        if job.batch_id is not None:
            raise JobValidationError({"batch": f"Job {job.pk} belongs to batch {job.batch_id}; a job has one."})
    try:
        for job in jobs:
            job.batch = batch
        with transaction.atomic(using=using):
            batch.save(using=using)
            known = [job.pk for job in jobs if not job._state.adding]
            ContainerJob.objects.using(using).filter(pk__in=known).update(batch=batch)
            intake.queue_many(jobs, using=using, actor=actor)
    except BaseException:
        for job in jobs:
            job.batch = None
        raise
    return batch


def cancel_batch(batch: JobBatch, *, using: str, actor: str = lifecycle.SYSTEM) -> int:
    """See ``JobQueueManager.cancel_batch``."""
    jobs = ContainerJob.objects.using(using).filter(batch=batch)
    count = 0
    # A job may start, or be given back, between two looks; one that was asked to stop is never queued again.
    while unasked := list(jobs.filter(status__in=_UNFINISHED, cancel_requested_at__isnull=True).order_by("pk")[:_PAGE]):
        count += len(cancel_unstarted([job for job in unasked if job.status not in ACTIVE], using=using, actor=actor))
        for job in unasked:
            if job.status in ACTIVE:
                with suppress(InvalidTransitionError):
                    stopping.cancel(job, using=using, actor=actor)
                    count += 1
    return count


def complete_ended(using: str) -> int:
    """
    Every open batch whose last job has ended is completed, and its handler owed a call; returns how many.

    Judged by the jobs' own statuses, so no counter can be wrong and no end be missed, whoever
    wrote it and whatever died meanwhile. Each batch is completed once, atomically with its call.
    """
    return sum(_complete(batch, using) for batch in ended(using)[:_PAGE])


def ended(using: str) -> QuerySet[JobBatch]:
    """Open batches without an unfinished job."""
    unfinished = ContainerJob.objects.using(using).filter(batch=OuterRef("pk"), status__in=_UNFINISHED)
    return JobBatch.objects.using(using).filter(~Exists(unfinished), completed_at__isnull=True)


def _complete(batch: JobBatch, using: str) -> bool:
    with transaction.atomic(using=using):
        row = JobBatch.objects.using(using).filter(pk=batch.pk, completed_at__isnull=True)
        # Written first: it locks the row, and SQLite's database.
        if not row.update(completed_at=DatabaseNow()):
            return False
        counts = batch.count()
        JobBatch.objects.using(using).filter(pk=batch.pk).update(
            completed=counts["completed"], failed=counts["failed"], cancelled=counts["cancelled"]
        )
        if batch.on_complete:
            outbox.owe(using, batch.on_complete, registry.BATCH_COMPLETED, str(batch.pk))
    return True


def _path(on_complete: OnComplete) -> str:
    """The dotted path of a function that can be found by it now; ``JobValidationError`` otherwise."""
    if not on_complete:
        return ""
    if not isinstance(on_complete, str):
        return registry.dotted_name(on_complete)
    try:
        function = import_string(on_complete)
    except ImportError as error:
        raise JobValidationError({"on_complete": f"{on_complete!r} cannot be imported: {error}."}) from error
    if not callable(function):
        raise JobValidationError({"on_complete": f"{on_complete!r} is no function."})
    return on_complete
