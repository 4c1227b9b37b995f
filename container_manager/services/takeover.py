"""Changing an attempt's owner: committed before the new owner looks at anything."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from container_manager import lifecycle
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob, JobAttempt
from container_manager.states import ACTIVE, Verb


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
            lifecycle.record(TABLES, using, [subject], Verb.RESCUE, actor=str(worker), message=reason)
    return True
