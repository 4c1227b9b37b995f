"""Inside the container: one attempt of a task, from its call to its report."""

from __future__ import annotations

import json
import os
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import stamina
from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone

from container_manager import conf
from container_manager.exceptions import QueueError
from container_manager.models import ContainerJob
from container_manager.queue import queue_manager
from container_manager.states import ACTIVE, Outcome
from container_manager.task_backend.calls import TaskCall, storable
from container_manager.task_backend.compat import (
    TaskContext,
    TaskResult,
    TaskResultStatus,
    task_finished,
    task_started,
)
from container_manager.task_backend.jobs import CALL_VARIABLE
from container_manager.task_backend.reports import Report, store
from container_manager.task_backend.results import set_field, task_result, worker_id

RETURNED, RAISED, REFUSED = 0, 1, 2
OUTAGE_SECONDS: Final = 300.0
"""How long a database may be away when a function has returned that may have run for hours."""


class Attempt(ABC):
    """The attempt at hand, as far as its way to the queue goes."""

    result: TaskResult

    @abstractmethod
    def is_last(self) -> bool:
        """Whether nothing follows when the function raises now."""

    @abstractmethod
    def report(self, report: Report) -> None:
        """The report is on its way to whoever asks for the result."""


class StoredAttempt(Attempt):
    """Reads its call from the database and stores its report there. ``QueueError`` when the job is not being run."""

    def __init__(self, job_id: UUID) -> None:
        self._using = queue_manager.using
        job = ContainerJob.objects.using(self._using).filter(pk=job_id).first()
        call = TaskCall.from_parameters(job.parameters) if job else None
        if job is None or call is None:
            raise QueueError(f"{job_id} is not the job of a task.")
        if job.status not in ACTIVE:
            raise QueueError(f"Job {job_id} is {job.status}: only a worker starts it, 'manage.py containers worker'.")
        self._job, self._number = job, int(os.environ.get("CM_ATTEMPT", job.attempt))
        self.result = task_result(job, call)
        _begin(self.result, worker_id(job, self._number))

    def is_last(self) -> bool:
        job = self._job
        self._reliably(lambda: job.refresh_from_db(using=self._using))
        policy = conf.retry_policies().get(job.retry_policy) or conf.retry_policies()[""]
        return job.cancel_requested_at is not None or not policy.allows(
            Outcome.APP_ERROR, RAISED, reruns=job.rerun_count, infra_reruns=job.infra_rerun_count
        )

    def report(self, report: Report) -> None:
        self._reliably(lambda: store(report, self._job, self._number, self._using))

    def _reliably(self, do: Callable[[], object]) -> None:
        for attempt in stamina.retry_context(
            on=(OperationalError, InterfaceError), attempts=None, timeout=OUTAGE_SECONDS, wait_max=10.0
        ):
            with attempt:
                # The function may have left it broken, and it may have been idle for hours.
                connections[self._using].close()
                do()


class PrintedAttempt(Attempt):
    """Has its call in a variable and prints its report: its container need not reach the database."""

    def __init__(self, job_id: UUID, call: TaskCall) -> None:
        numbers = range(1, int(os.environ.get("CM_ATTEMPT", "1")) + 1)
        self.result = TaskResult(
            task=call.task(), id=str(job_id), status=TaskResultStatus.READY, enqueued_at=None, started_at=None,
            finished_at=None, last_attempted_at=None, args=call.args, kwargs=call.kwargs, backend=call.backend,
            errors=[], worker_ids=[f"{job_id.hex}-{number}" for number in numbers],
        )  # fmt: skip
        _begin(self.result, self.result.worker_ids[-1])

    def is_last(self) -> bool:
        # The budgets are in the database; the process that records the end tells.
        return False

    def report(self, report: Report) -> None:
        sys.stdout.write(report.line())
        sys.stdout.flush()


def run(job_id: UUID) -> int:
    """The function was called once and its end reported; returns the exit code."""
    text = os.environ.get(CALL_VARIABLE)
    try:
        call = TaskCall.from_parameters(json.loads(text)) if text else None
        attempt = PrintedAttempt(job_id, call) if call else StoredAttempt(job_id)
    except QueueError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    result = attempt.result
    sender = type(result.task.get_backend())
    task_started.send_robust(sender=sender, task_result=result)
    try:
        context: list[Any] = [TaskContext(task_result=result)] if result.task.takes_context else []
        value = storable(result.task.call(*context, *result.args, **result.kwargs))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit too is an end of the function
        traceback.print_exception(error)
        report = Report.of_error(error, is_final=attempt.is_last())
        attempt.report(report)
        if report.error:
            result.errors.append(report.error)
        if report.is_final:
            # Here, since Django's own receiver logs the exception that is being handled.
            _end(result, TaskResultStatus.FAILED)
            task_finished.send_robust(sender=sender, task_result=result)
        return RAISED
    attempt.report(Report(value=value))
    set_field(result, "_return_value", value)
    _end(result, TaskResultStatus.SUCCESSFUL)
    task_finished.send_robust(sender=sender, task_result=result)
    return RETURNED


def _begin(result: TaskResult, worker: str) -> None:
    now = timezone.now()
    set_field(result, "status", TaskResultStatus.RUNNING)
    set_field(result, "started_at", result.started_at or now)
    set_field(result, "last_attempted_at", now)
    if worker not in result.worker_ids:
        result.worker_ids.append(worker)


def _end(result: TaskResult, status: TaskResultStatus) -> None:
    set_field(result, "finished_at", timezone.now())
    set_field(result, "status", status)
