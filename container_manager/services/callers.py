"""``launch_job`` outside a worker: a process that launches, and leaves the watching to the next worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import transaction

from container_manager.exceptions import QueueError
from container_manager.hosts import node_name
from container_manager.models import JobAttempt, Worker
from container_manager.ownership import Claim
from container_manager.processes import process_identity
from container_manager.services.launching import LaunchResult
from container_manager.services.recording import record_cancelled_before_start, record_launch_failure, record_started
from container_manager.sql.clock import DatabaseNow
from container_manager.states import StopReason


class OpenTransactionError(QueueError):
    """A launch was asked for inside a transaction that others cannot see yet."""


@contextmanager
def caller(using: str) -> Iterator[UUID]:
    """
    A ``Worker`` row of kind ``caller`` exists meanwhile; yields its id.

    Dies with the process after ``START_TIMEOUT``: until then nobody takes its claims over.
    ``OpenTransactionError`` inside ``atomic()``, except Django's own ``TestCase``.
    """
    try:
        with transaction.atomic(using=using, durable=True):
            row = Worker.objects.using(using).create(
                kind=Worker.Kind.CALLER, node=node_name(), process_id=os.getpid(), process_identity=process_identity(),
                started_at=DatabaseNow(), heartbeat_at=DatabaseNow(),
            )  # fmt: skip
    except RuntimeError as error:
        raise OpenTransactionError(
            "launch_job inside atomic() would start a container that a rollback forgets: "
            "call it in transaction.on_commit."
        ) from error
    try:
        yield row.pk
    finally:
        # Claims left open (an unsettled start) need the row, so that they are judged by its age.
        if not JobAttempt.objects.using(using).filter(worker=row.pk, active_job__isnull=False).exists():
            row.delete()


def record_launch(claim: Claim, result: LaunchResult, using: str) -> str:
    """The row says what ``result`` came to; returns the error to report, empty = the job runs. Atomic."""
    if result.success:
        if record_started([(claim, result.execution_id)], using, owner=None):
            return ""
        return f"Job {claim.job.pk} was taken over while it was launched; its new owner goes on with it."
    error = result.error or "The launch failed and gave no reason."
    if result.is_unsettled:
        return f"{error} Whether it started is not known; a worker will look."
    if JobAttempt.objects.using(using).filter(pk=claim.attempt_id, stop_requested=StopReason.CANCEL).exists():
        record_cancelled_before_start(claim, using)
    else:
        record_launch_failure(claim, result, using)
    return error
