"""Changing an attempt's owner: committed before the new owner looks at anything."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from container_manager import lifecycle
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob, JobAttempt
from container_manager.ownership import Claim
from container_manager.services.finishing import Ending, finish
from container_manager.services.recording import record_started
from container_manager.states import ACTIVE, Outcome, Status


def commit_takeover(attempt: JobAttempt, worker: UUID, using: str, *, reason: str) -> bool:
    """
    ``worker`` owns the open ``attempt``, committed; false = it has moved on, nothing was written.

    Guarded by the owner that ``attempt`` was loaded with. A rescue leaves an event; a hand-over,
    from nobody, does not.
    """
    subject = Subject(attempt.job_id, attempt.number)
    with transaction.atomic(using=using):
        jobs = ContainerJob.objects.using(using).filter(pk=attempt.job_id, attempt=attempt.number, status__in=ACTIVE)
        attempts = JobAttempt.objects.using(using).filter(pk=attempt.pk, active_job__isnull=False)
        if not jobs.filter(worker=attempt.worker).update(worker=worker):
            return False
        if not attempts.filter(worker=attempt.worker).update(worker=worker):
            transaction.set_rollback(True, using=using)
            return False
        if attempt.worker is not None:
            status = Status(attempt.job.status)
            lifecycle.record_rescue(TABLES, using, subject, status, actor=str(worker), message=reason)
    return True


def give_up(attempt: JobAttempt, worker: UUID, using: str, *, reason: str) -> bool:
    """The open ``attempt`` is taken over and has ended ``lost``; its container is not touched. False = it moved on."""
    if not commit_takeover(attempt, worker, using, reason=reason):
        return False
    claim = Claim(attempt.job, attempt.pk, attempt.number, attempt.host, worker)
    if attempt.job.status == Status.LAUNCHING:
        # Whether it started is not known, and LAUNCHING has no way to a loss: it may have run.
        record_started([(claim, attempt.execution_id)], using, owner=worker)
    finish([Ending(claim=claim, outcome=Outcome.LOST, error=reason)], using)
    return True
