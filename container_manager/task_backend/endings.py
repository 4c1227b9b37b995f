"""``task_finished`` for ends that the function's own process could not tell: killed, lost, cancelled, never started."""

from __future__ import annotations

from typing import Any

from container_manager import signals
from container_manager.models import ContainerJob, JobAttempt
from container_manager.task_backend.calls import TaskCall
from container_manager.task_backend.compat import task_finished
from container_manager.task_backend.reports import reports
from container_manager.task_backend.results import task_result


def connect() -> None:
    """Failed and cancelled tasks are announced by the process that records their end."""
    for signal in (signals.job_failed, signals.job_cancelled):
        signal.connect(announce_end, sender=ContainerJob, dispatch_uid="container_manager.task_backend")


def announce_end(*, job: ContainerJob, **_: Any) -> None:
    """Receiver of a job's last move."""
    call = TaskCall.from_parameters(job.parameters)
    if call is None:
        return
    using = job.write_alias
    last = JobAttempt.objects.using(using).filter(job_id=job.pk, number=job.attempt)
    report = reports(job, call, last, using).get(job.attempt)
    if report is None or not report.is_final:
        result = task_result(job, call)
        task_finished.send_robust(type(result.task.get_backend()), task_result=result)
