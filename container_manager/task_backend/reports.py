"""What the runner reports of an attempt, and its two ways: an event of the job, or a line of its output."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from traceback import format_exception
from typing import Any, Final

from django.db import transaction

from container_manager import lifecycle
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob, JobAttempt, JobEvent
from container_manager.models.output import attempt_output
from container_manager.specs import Stream
from container_manager.states import ACTIVE, Verb
from container_manager.task_backend.calls import TaskCall
from container_manager.task_backend.compat import TaskError

MARK: Final = "::container-manager task:: "
"""Begins the line of output that is a report."""
LONGEST_TRACEBACK: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How the function ended in one attempt: ``value``, or the two parts of a ``TaskError``."""

    value: Any = None
    exception_class_path: str = ""
    traceback: str = ""
    is_final: bool = True
    """Whether ``task_finished`` was sent for it."""

    @classmethod
    def of_error(cls, error: BaseException, *, is_final: bool) -> Report:
        kind = type(error)
        text = "".join(format_exception(error)).replace("\0", "\N{REPLACEMENT CHARACTER}")
        return cls(
            exception_class_path=f"{kind.__module__}.{kind.__qualname__}",
            traceback=text.encode(errors="replace").decode()[-LONGEST_TRACEBACK:],
            is_final=is_final,
        )

    @property
    def error(self) -> TaskError | None:
        if not self.exception_class_path:
            return None
        return TaskError(exception_class_path=self.exception_class_path, traceback=self.traceback)

    def line(self) -> str:
        return f"\n{MARK}{json.dumps(asdict(self))}\n"


def store(report: Report, job: ContainerJob, attempt: int, using: str) -> bool:
    """
    The report is kept with the job, its value as the job's ``result``. Atomic.

    False: the attempt is no longer the job's, and nothing was written.
    """
    with transaction.atomic(using=using):
        rows = ContainerJob.objects.using(using).filter(pk=job.pk, attempt=attempt, status__in=ACTIVE)
        if report.error is None and not rows.update(result=report.value):
            return False
        if not rows.exists():
            return False
        data = {"task": {name: value for name, value in asdict(report).items() if name != "value"}}
        message = report.exception_class_path or "The task has returned."
        lifecycle.record(TABLES, using, [Subject(job.pk, attempt)], Verb.NOTE, actor="task", message=message, data=data)
    return True


def reports(job: ContainerJob, call: TaskCall, attempts: Iterable[JobAttempt], using: str) -> dict[int, Report]:
    """The reports of ``attempts``, by their number."""
    if call.through_output:
        found = {attempt.number: _from_output(attempt) for attempt in attempts if attempt.finished_at is not None}
        return {number: report for number, report in found.items() if report is not None}
    events = JobEvent.objects.using(using).filter(job_id=job.pk, verb=Verb.NOTE, actor="task").order_by("id")
    return {event.attempt: Report(**{**event.data["task"], "value": job.result}) for event in events if event.data}


def _from_output(attempt: JobAttempt) -> Report | None:
    output = attempt_output(attempt, stream=Stream.STDOUT)
    line = next((line for line in reversed(output.splitlines()) if line.startswith(MARK)), None)
    try:
        return Report(**json.loads(line.removeprefix(MARK))) if line else None
    except (ValueError, TypeError):
        # Cut by LOG_MAX_BYTES.
        return None
