"""Ending a job early, and waiting for one to end."""

from __future__ import annotations

import time

from django.db import connections, transaction
from django.utils import timezone

from container_manager import lifecycle
from container_manager.exceptions import InvalidTransitionError, JobFailedError, JobNotFoundError, JobWaitTimeoutError
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob, JobAttempt
from container_manager.states import ACTIVE, TERMINAL, Status, StopReason, Verb
from container_manager.wakeup import STOPS, notify
from container_manager.withdrawing import cancel_unstarted

_WAIT_FIRST, _WAIT_LONGEST = 0.02, 1.0


def cancel(job: ContainerJob, *, using: str, actor: str) -> ContainerJob:
    """See ``JobQueueManager.cancel_job``."""
    jobs = ContainerJob.objects.using(using)
    # A job may be claimed, or end, between the two tries; it moves forward, so few rounds settle it.
    for _ in range(5):
        if cancel_unstarted([job], using=using, actor=actor) or _request_stop(job, using, actor):
            job.refresh_from_db(using=using)
            return job
        row = jobs.filter(pk=job.pk).only("status").first()
        if row is None:
            raise JobNotFoundError(f"Job {job.pk} is not in the database; there is nothing to cancel.")
        if row.status in TERMINAL:
            raise InvalidTransitionError(job.pk, row.status, Status.CANCELLED, "It has ended already.")
    raise InvalidTransitionError(job.pk, job.status, Status.CANCELLED, "It keeps moving; try again.")


def _request_stop(job: ContainerJob, using: str, actor: str) -> bool:
    with transaction.atomic(using=using):
        active = ContainerJob.objects.using(using).filter(pk=job.pk, status__in=ACTIVE)
        if not active.filter(cancel_requested_at__isnull=True).update(cancel_requested_at=timezone.now()):
            return active.exists()
        attempt = JobAttempt.objects.using(using).filter(active_job=job.pk)
        attempt.update(stop_requested=StopReason.CANCEL)
        owners = attempt.filter(worker__isnull=False).values_list("worker", flat=True)
        notify(using, STOPS, {str(owner) for owner in owners})
        subject = Subject(job.pk, job.attempt)
        lifecycle.record(TABLES, using, [subject], Verb.STOP, actor=actor, message="Cancellation requested.")
    return True


def wait_until_finished(job: ContainerJob, *, timeout: float | None, using: str) -> ContainerJob:
    """See ``JobQueueManager.wait_for``."""
    if connections[using].in_atomic_block:
        raise RuntimeError("wait_for inside atomic() could never see the end of a job: call it after the commit.")
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = _WAIT_FIRST
    while True:
        job.refresh_from_db(using=using, fields=["status"])
        if job.status in TERMINAL:
            break
        if deadline is not None and time.monotonic() >= deadline:
            raise JobWaitTimeoutError(f"Job {job.pk} is {job.status} after {timeout} s; it goes on.")
        remaining = pause if deadline is None else min(pause, max(0.0, deadline - time.monotonic()))
        time.sleep(remaining)
        pause = min(pause * 1.5, _WAIT_LONGEST)
    job.refresh_from_db(using=using)
    if job.status != Status.COMPLETED:
        raise JobFailedError(job.pk, job.status, job.exit_code, job.outcome, job.output(tail=20))
    return job
