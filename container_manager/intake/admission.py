"""Who may enter the queue: the judgement of status, files, limits and room, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from container_manager import conf, hosts
from container_manager.capacity import above_maximum
from container_manager.exceptions import (
    JobAlreadyQueuedError,
    JobNotQueueableError,
    JobValidationError,
    QueueCapacityError,
)
from container_manager.executors.limits import UNITS
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.secret_references import has_files
from container_manager.states import Status

_FOR_GOOD: Final = frozenset({Status.COMPLETED, Status.CANCELLED})


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


def refuse_unserved_files(jobs: Sequence[ContainerJob], using: str) -> None:
    """Where jobs have files, or secrets as files. One query for each of their queues."""
    for queue in {job.queue for job in jobs if job.file_plan or has_files(job.secrets)}:
        problem = hosts.why_no_files(using, queue)
        if problem:
            raise JobValidationError({"queue": [problem]})


def refuse_impossible_limits(jobs: Sequence[ContainerJob], using: str) -> None:
    """Where no host of a job's queue lets it ask for what it does. One query, if any asks for anything."""
    asking = [job for job in jobs if any(getattr(job, name) is not None for name in UNITS)]
    rows = list(ExecutorHost.objects.using(using).all()) if asking else []
    for job in asking:
        serving = hosts.serving(rows, job.queue)
        refused = [above_maximum(job, host.options) for host in serving]
        if refused and all(refused):
            intro = f"No host of queue {job.queue!r} takes it. {serving[0]}:"
            raise JobValidationError({name: [f"{intro} {problem}."] for name, problem in refused[0].items()})


def refuse_status(job: ContainerJob) -> None:
    if job._state.adding and job.status in (Status.PENDING, Status.QUEUED):
        return
    if job.status in _FOR_GOOD:
        raise JobNotQueueableError(
            f"Job {job.pk} is {job.status}, which is final. Run it again as a new job: queue_manager.clone_job(job)."
        )
    if job.status not in (Status.PENDING, Status.FAILED):
        raise JobAlreadyQueuedError(f"Job {job.pk} is {job.status} already; it cannot be queued twice.")
