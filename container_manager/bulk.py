"""One action on many jobs: in batches, each job done or skipped with the reason, and the actor in its events."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connections, transaction

from container_manager import intake, lifecycle, stopping
from container_manager.exceptions import JobValidationError, QueueCapacityError, QueueError
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob
from container_manager.models.job_queryset import JobQuerySet, refuse_active
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.states import ACTIVE, PRIORITY_HIGHEST, PRIORITY_LOWEST, Status, Verb
from container_manager.validation import whole_number_problems
from container_manager.withdrawing import cancel_unstarted

logger = logging.getLogger("container_manager.jobs")

PAGE: Final = 500
"""Jobs of one transaction: how long others may wait for them, and what a crash leaves undone."""
CAP: Final = 10_000
"""The most that one request of a person changes."""
DELETED: Final = ""


class Action(StrEnum):
    """What can be done to many jobs at once."""

    QUEUE = "queue"
    RETRY = "retry"
    CANCEL = "cancel"
    DEQUEUE = "dequeue"
    SET_PRIORITY = "set_priority"
    DELETE = "delete"

    @property
    def permission(self) -> str:
        """The permission that it takes."""
        return f"container_manager.{_PERMISSIONS[self]}_containerjob"

    @property
    def sources(self) -> frozenset[Status]:
        """The statuses in which it can be done; jobs in others are skipped."""
        return _SOURCES[self]


_PERMISSIONS: Final = {
    Action.QUEUE: "launch",
    Action.RETRY: "retry",
    Action.CANCEL: "cancel",
    Action.DEQUEUE: "launch",
    Action.SET_PRIORITY: "change",
    Action.DELETE: "delete",
}
_UNFINISHED: Final = frozenset({Status.PENDING, Status.QUEUED}) | ACTIVE
_SOURCES: Final = {
    Action.QUEUE: frozenset({Status.PENDING, Status.FAILED}),
    Action.RETRY: frozenset({Status.FAILED}),
    Action.CANCEL: _UNFINISHED,
    Action.DEQUEUE: frozenset({Status.QUEUED}),
    Action.SET_PRIORITY: _UNFINISHED,
    Action.DELETE: frozenset(Status) - ACTIVE,
}


@dataclass(frozen=True, slots=True)
class Change:
    """What came of one job: its status now (``DELETED`` = none), or the error for which it was skipped."""

    job_id: UUID
    status: str
    error: QueueError | None = None

    @property
    def reason(self) -> str:
        """The error without the job's id, so that alike ones can be counted together."""
        return str(self.error).replace(f"Job {self.job_id}", "The job") if self.error else ""


@dataclass(frozen=True, slots=True)
class BulkResult:
    """``is_capped``: there may be more that match, which were not looked at."""

    action: Action
    done: list[UUID]
    skipped: list[Change]
    is_capped: bool = False

    def reasons(self) -> list[tuple[str, int]]:
        """Why jobs were skipped and how many, most frequent first."""
        return Counter(change.reason for change in self.skipped).most_common()


class _Request(NamedTuple):
    action: Action
    actor: str
    using: str
    priority: int | None


class _Way(NamedTuple):
    """How an action is done: to all of a group, which raises ``QueueError`` or says which it did, and to one."""

    many: Callable[[Sequence[ContainerJob], _Request], Collection[UUID]]
    one: Callable[[ContainerJob, _Request], object]
    leads_to: str | None


def apply(
    action: Action, jobs: JobQuerySet, *, actor: str, priority: int | None = None, cap: int | None = CAP
) -> BulkResult:
    """
    ``action`` has been done to those of ``jobs`` that allow it, ``cap`` at most; says which, and why not the others.

    Each batch is a transaction: after a crash whole batches are done, or it all joins the
    caller's. Each job has one event with ``actor``; a deleted job, whose events go with it, a log
    line. ``JobValidationError`` for a wrong ``priority``: then nothing is done.
    """
    done: list[UUID] = []
    skipped: list[Change] = []
    last: UUID | None = None
    for change in changes(action, jobs, actor=actor, priority=priority, cap=cap):
        if change.error is None:
            done.append(change.job_id)
        else:
            skipped.append(change)
        last = change.job_id
    is_full = last is not None and len(done) + len(skipped) == cap
    is_capped = is_full and jobs.using(jobs.write_alias).filter(pk__gt=last).exists()
    return BulkResult(action, done, skipped, is_capped)


def changes(
    action: Action, jobs: JobQuerySet, *, actor: str, priority: int | None = None, cap: int | None = None
) -> Iterator[Change]:
    """As ``apply``, job by job in the order of their ids, a batch in memory at a time, each after its commit."""
    if action is Action.SET_PRIORITY:
        problems = whole_number_problems(priority, PRIORITY_LOWEST, PRIORITY_HIGHEST)
        if problems:
            raise JobValidationError({"priority": problems})
    jobs = jobs.using(jobs.write_alias)
    request = _Request(action, actor, jobs.db, priority)
    for page in _pages(jobs, cap):
        yield from _do(_WAYS[action], request, page)


def _pages(jobs: JobQuerySet, cap: int | None) -> Iterator[list[ContainerJob]]:
    """By id, so that no cursor stays open while its rows are changed, and none comes twice."""
    after, left = None, cap
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = list((jobs if after is None else jobs.filter(pk__gt=after)).order_by("pk")[:size])
        if page:
            yield page
        if len(page) < size:
            return
        after = page[-1].pk
        left = None if left is None else left - size


def _do(way: _Way, request: _Request, jobs: Sequence[ContainerJob]) -> Iterator[Change]:
    """As a group where that succeeds; what the group leaves over is asked one by one."""
    fitting = [job for job in jobs if job.status in request.action.sources]
    done = set(_as_group(way, request, fitting))
    full: QueueError | None = None
    for job in jobs:
        if job.pk in done:
            yield Change(job.pk, way.leads_to if way.leads_to is not None else job.status)
        elif full is not None:
            yield Change(job.pk, job.status, full)
        else:
            change = _singly(way, request, job)
            yield change
            if isinstance(change.error, QueueCapacityError):
                full = change.error  # the queue is not counted again for each job that is left


def _as_group(way: _Way, request: _Request, jobs: Sequence[ContainerJob]) -> Collection[UUID]:
    if not jobs:
        return ()
    try:
        return _atomically(request.using, lambda: way.many(jobs, request))
    except QueueError:
        return ()


def _atomically(using: str, do: Callable[[], Collection[UUID]]) -> Collection[UUID]:
    def whole() -> Collection[UUID]:
        with transaction.atomic(using=using):
            return do()

    return whole() if connections[using].in_atomic_block else retry_on_conflict(whole)


def _singly(way: _Way, request: _Request, job: ContainerJob) -> Change:
    try:
        way.one(job, request)
    except QueueError as error:
        return Change(job.pk, job.status, error)
    return Change(job.pk, DELETED if way.leads_to == DELETED else job.status)


def _queue_many(jobs: Sequence[ContainerJob], request: _Request) -> Collection[UUID]:
    return [job.pk for job in intake.queue_many(jobs, using=request.using, actor=request.actor)]


def _queue_one(job: ContainerJob, request: _Request) -> None:
    intake.queue_one(job, using=request.using, actor=request.actor)


def _retry_one(job: ContainerJob, request: _Request) -> None:
    intake.retry_one(job, using=request.using, actor=request.actor)


def _dequeue_many(jobs: Sequence[ContainerJob], request: _Request) -> Collection[UUID]:
    return intake.dequeue_many(jobs, using=request.using, actor=request.actor)


def _dequeue_one(job: ContainerJob, request: _Request) -> None:
    intake.dequeue_one(job, actor=request.actor)


def _cancel_many(jobs: Sequence[ContainerJob], request: _Request) -> Collection[UUID]:
    waiting = [job for job in jobs if job.status not in ACTIVE]
    return cancel_unstarted(waiting, using=request.using, actor=request.actor)


def _cancel_one(job: ContainerJob, request: _Request) -> None:
    stopping.cancel(job, using=request.using, actor=request.actor)


def _prioritise_many(jobs: Sequence[ContainerJob], request: _Request) -> Collection[UUID]:
    rows = ContainerJob.objects.using(request.using).filter(
        pk__in=[job.pk for job in jobs], status__in=request.action.sources
    )
    if rows.update(priority=request.priority) < len(jobs):
        raise QueueError("Some of them ended meanwhile.")
    subjects = [Subject(job.pk, job.attempt) for job in jobs]
    message = f"Priority {request.priority}."
    lifecycle.record(TABLES, request.using, subjects, Verb.NOTE, actor=request.actor, message=message)
    return [job.pk for job in jobs]


def _prioritise_one(job: ContainerJob, request: _Request) -> None:
    try:
        _atomically(request.using, lambda: _prioritise_many([job], request))
    except QueueError as error:
        raise QueueError(f"Job {job.pk} has ended, so a priority changes nothing.") from error


def _delete_many(jobs: Sequence[ContainerJob], request: _Request) -> Collection[UUID]:
    rows = JobQuerySet(ContainerJob, using=request.using).filter(pk__in=[job.pk for job in jobs])
    # Locked first: a claim skips them, so none gets a container while it is deleted.
    refuse_active([row.pk for row in rows.select_for_update().order_by("pk").only("status") if row.status in ACTIVE])
    rows.delete()
    for job in jobs:
        fields = {"job": str(job.pk), "attempt": job.attempt, "verb": "delete", "actor": request.actor}
        logger.info("job %s: deleted by %s", job.pk, request.actor, extra=fields)
    return [job.pk for job in jobs]


def _delete_one(job: ContainerJob, request: _Request) -> None:
    _atomically(request.using, lambda: _delete_many([job], request))


_WAYS: Final = {
    Action.QUEUE: _Way(_queue_many, _queue_one, Status.QUEUED),
    Action.RETRY: _Way(_queue_many, _retry_one, Status.QUEUED),
    Action.CANCEL: _Way(_cancel_many, _cancel_one, Status.CANCELLED),
    Action.DEQUEUE: _Way(_dequeue_many, _dequeue_one, Status.PENDING),
    Action.SET_PRIORITY: _Way(_prioritise_many, _prioritise_one, None),
    Action.DELETE: _Way(_delete_many, _delete_one, DELETED),
}
