"""A job as the ``TaskResult`` of its task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from container_manager.models import ContainerJob, JobAttempt
from container_manager.states import Outcome, Status
from container_manager.task_backend.calls import TaskCall
from container_manager.task_backend.compat import TaskError, TaskResult, TaskResultStatus
from container_manager.task_backend.reports import Report, reports

STATUSES: Final = {
    Status.PENDING: TaskResultStatus.READY,
    Status.QUEUED: TaskResultStatus.READY,
    Status.LAUNCHING: TaskResultStatus.READY,
    Status.RUNNING: TaskResultStatus.RUNNING,
    Status.COMPLETED: TaskResultStatus.SUCCESSFUL,
    Status.FAILED: TaskResultStatus.FAILED,
    Status.CANCELLED: TaskResultStatus.FAILED,
}
ENDED_FROM_OUTSIDE: Final = "container_manager.exceptions.JobFailedError"
"""The error of an attempt whose function could not say how it ended: killed, lost, never started."""


def task_result(job: ContainerJob, call: TaskCall) -> TaskResult:
    """
    What the rows say of the task now. Errors are in the order of the attempts.

    ``worker_ids``: one per attempt that has started, the end of its container's name.
    """
    using = job.write_alias
    attempts = list(JobAttempt.objects.using(using).filter(job_id=job.pk).order_by("number")) if job.attempt else []
    reported = reports(job, call, attempts, using) if attempts else {}
    started = [attempt for attempt in attempts if attempt.started_at is not None]
    result: TaskResult = TaskResult(
        task=call.task(job.scheduled_for),
        id=str(job.pk),
        status=STATUSES[Status(job.status)],
        enqueued_at=job.queued_at,
        started_at=started[0].started_at if started else None,
        finished_at=job.finished_at,
        last_attempted_at=started[-1].started_at if started else None,
        args=call.args,
        kwargs=call.kwargs,
        backend=call.backend,
        errors=_errors(job, attempts, reported),
        worker_ids=[worker_id(job, attempt.number) for attempt in started],
    )
    if job.status == Status.COMPLETED:
        last = reported.get(job.attempt)
        set_field(result, "_return_value", last.value if last else job.result)
    return result


def worker_id(job: ContainerJob, attempt: int) -> str:
    return f"{job.pk.hex}-{attempt}"


def set_field(result: TaskResult, name: str, value: object) -> None:
    """A ``TaskResult`` is frozen, and Django's own backends write to it so."""
    object.__setattr__(result, name, value)


def _errors(job: ContainerJob, attempts: Sequence[JobAttempt], reported: dict[int, Report]) -> list[TaskError]:
    errors = []
    for attempt in attempts:
        report = reported.get(attempt.number)
        if report and report.error:
            errors.append(report.error)
        elif attempt.outcome not in ("", Outcome.OK):
            errors.append(_from_outside(attempt))
    if not errors and job.status in (Status.FAILED, Status.CANCELLED):
        errors.append(_from_outside(job))
    return errors


def _from_outside(ended: ContainerJob | JobAttempt) -> TaskError:
    code = "" if ended.exit_code is None else f", exit code {ended.exit_code}"
    text = f"{ENDED_FROM_OUTSIDE}: {ended.outcome or 'failed'}{code}. {ended.error}".strip()
    return TaskError(exception_class_path=ENDED_FROM_OUTSIDE, traceback=text + "\n")
