"""
A committed claim: free capacity on a host, given to ready jobs, for one worker.

One short transaction whose first statement writes the host's row. That write is the host's
lock (and SQLite's only writer), so capacity is exact with any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import lru_cache, partial
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connections, transaction
from django.db.models import F, Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager import hosts as host_rows
from container_manager import lifecycle
from container_manager.capacity import Room, above_maximum, could_ever_fit
from container_manager.exceptions import QueueError
from container_manager.lifecycle import Opening, Subject
from container_manager.models import TABLES, ContainerJob, ExecutorHost, JobAttempt
from container_manager.models.job_queryset import JobQuerySet
from container_manager.ownership import Claim
from container_manager.sql.clock import DatabaseNow
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.sql.indexes import Literal
from container_manager.sql.statements import Statement, compiled, compiled_update
from container_manager.states import Hold, Status, Verb

LOOK_AHEAD: Final = 100
"""How many ready jobs are looked at for one that fits, where a host counts CPU or memory."""
STARVATION_LIMIT: Final = timedelta(minutes=5)
"""How long smaller jobs may overtake one at the head that waits for room."""


class ClaimRefusedError(QueueError):
    """Nothing was claimed, for a reason that is not the job's; no retry is spent."""


def claim(host: ExecutorHost, worker: UUID, *, queue: str, limit: int, using: str) -> list[Claim]:
    """
    Up to ``limit`` ready jobs of ``queue`` are LAUNCHING, committed, and ``worker``'s; best first.

    An empty list means that nothing is ready or that ``host`` is drained, backing off or full.
    ``RuntimeError`` inside an open transaction: others would see the claim only at its commit.
    """
    wanted = _Wanted(partial(ready_jobs, using, queue), partial(_ids_of_ready, using, queue))
    return retry_on_conflict(lambda: _claim(wanted, host, worker, limit=limit, using=using, is_strict=False))


def claim_job(job_id: UUID, host: ExecutorHost, worker: UUID, *, using: str) -> Claim | None:
    """
    This job is LAUNCHING, committed, and ``worker``'s, whatever holds it; ``None`` = it is not launchable.

    A job with limits must have taken its place before: ``turns.take_place``.

    ``ClaimRefusedError`` when ``host`` is drained, backing off or full.
    """
    # A limited job has a place in its lanes exactly while nothing holds it.
    rows = JobQuerySet(ContainerJob, using=using).launchable().filter(Q(line="") | Q(hold=Hold.NONE), pk=job_id)
    wanted = _Wanted(lambda: rows, lambda: _ids_of(rows))
    claims = retry_on_conflict(lambda: _claim(wanted, host, worker, limit=1, using=using, is_strict=True))
    return claims[0] if claims else None


def why_not_launchable(job_id: UUID, using: str) -> str:
    """Why ``claim_job`` found nothing to claim, and what to do."""
    job = ContainerJob.objects.using(using).filter(pk=job_id).first()
    if job is None:
        return f"Job {job_id} is not in the database; it was deleted."
    if job.status == Status.PENDING:
        return f"Job {job_id} is not queued: queue_manager.queue_job(job) first."
    if job.status != Status.QUEUED:
        return f"Job {job_id} is {job.status}; only a queued job is launched."
    if job.retry_count >= job.max_retries:
        return f"Job {job_id} has no launch left: retry_count {job.retry_count} of max_retries {job.max_retries}."
    if job.scheduled_for and job.scheduled_for > timezone.now():
        return f"Job {job_id} is scheduled for {job.scheduled_for.isoformat()}."
    return f"Job {job_id} is being claimed by another worker."


def ready_jobs(using: str, queue: str) -> JobQuerySet:
    """The ready jobs of one queue, in order, straight from the ready index."""
    jobs = JobQuerySet(ContainerJob, using=using)
    return jobs.filter(queue=queue, status=Literal(Status.QUEUED), hold=Literal(Hold.NONE)).in_order()


def queue_heads(using: str, queues: Sequence[str]) -> list[str]:
    """Those of ``queues`` that have a ready job, the one with the best head first."""
    heads = []
    for queue in queues:
        head = ready_jobs(using, queue).values_list("priority", "queued_at").first()
        if head:
            heads.append((-head[0], head[1], queue))
    return [queue for *_, queue in sorted(heads)]


class _Wanted(NamedTuple):
    """What may be claimed: its rows where each has to be looked at, else the statement that selects their ids."""

    rows: Callable[[], JobQuerySet]
    ids: Callable[[], Statement]


def _ids_of(rows: JobQuerySet) -> Statement:
    return compiled(rows.values_list("pk").query, rows.db)


@lru_cache(maxsize=1024)
def _ids_of_ready(using: str, queue: str) -> Statement:
    return _ids_of(ready_jobs(using, queue))


def _claim(
    wanted: _Wanted, host: ExecutorHost, worker: UUID, *, limit: int, using: str, is_strict: bool
) -> list[Claim]:
    features = connections[using].features
    with transaction.atomic(using=using, durable=True):
        room = _lock_host(host, using, is_strict=is_strict)
        if room is None:
            return []
        if connections[using].vendor == "postgresql" and not room.counts_resources:
            return _take_unseen(wanted.ids(), min(limit, room.slots), host, worker, using)
        count = max(limit, LOOK_AHEAD) if room.counts_resources else min(limit, room.slots)
        locked = wanted.rows().select_for_update(
            skip_locked=features.has_select_for_update_skip_locked, no_key=features.has_select_for_no_key_update
        )
        chosen = _choose(list(locked[:count]), room, host, limit=limit, using=using, is_strict=is_strict)
        return _take(chosen, host, worker, using)


def _lock_host(host: ExecutorHost, using: str, *, is_strict: bool) -> Room | None:
    with connections[using].cursor() as cursor:
        cursor.execute(*_host_lock(using, host.pk))
        is_locked = bool(cursor.rowcount)
    if not is_locked:
        if is_strict:
            raise ClaimRefusedError(_why_refused(host, using))
        return None
    room = Room.on(host, using)
    if room.slots > 0:
        return room
    if is_strict:
        raise ClaimRefusedError(f"The host {host} is full: all of its {host.max_concurrent_jobs} slots are taken.")
    return None


@lru_cache(maxsize=256)
def _host_lock(using: str, host: int) -> Statement:
    """The UPDATE that locks an active host that is not backing off."""
    now = DatabaseNow()
    rows = ExecutorHost.objects.using(using).filter(pk=host, is_active=True)
    return compiled_update(rows.filter(Q(retry_at__isnull=True) | Q(retry_at__lte=now)), {"claimed_at": now})


def _why_refused(host: ExecutorHost, using: str) -> str:
    now = ExecutorHost.objects.using(using).filter(pk=host.pk).first()
    if now is None:
        return f"The host {host} was deleted."
    if not now.is_active:
        return f"The host {host} is drained (is_active is off)."
    return f"The host {host} is unhealthy and tried again at {now.retry_at}: {now.health_error}"


def _choose(
    candidates: list[ContainerJob], room: Room, host: ExecutorHost, *, limit: int, using: str, is_strict: bool
) -> list[ContainerJob]:
    chosen: list[ContainerJob] = []
    homeless: list[ContainerJob] = []
    for job in candidates:
        if len(chosen) == limit or room.slots <= 0:
            break
        if room.fits(job):
            room.take(job)
            chosen.append(job)
        elif not could_ever_fit(host, job):
            homeless.append(job)
        elif job.queued_at is not None and timezone.now() - job.queued_at > STARVATION_LIMIT:
            break
    if is_strict and candidates and not chosen:
        why = "; ".join(above_maximum(candidates[0], host.options).values()) or "CPU or memory is short"
        raise ClaimRefusedError(f"Job {candidates[0].pk} does not fit on the host {host} now: {why}.")
    _hold_unschedulable(homeless, using)
    return chosen


def _hold_unschedulable(jobs: list[ContainerJob], using: str) -> None:
    if not jobs:
        return
    active = [host for host in ExecutorHost.objects.using(using).all() if host.is_active]
    for job in jobs:
        candidates = host_rows.serving(active, job.queue)
        if any(could_ever_fit(host, job) for host in candidates):
            continue
        needs = f"{job.memory_limit or 0} MiB and {job.cpu_limit or 0} cores"
        looked_at = ", ".join(_named(host, job) for host in candidates)
        reason = f"Needs {needs}; no active host of queue {job.queue!r} has that: {looked_at}."
        ContainerJob.objects.using(using).filter(pk=job.pk, status=Status.QUEUED).update(
            hold=Hold.UNSCHEDULABLE, hold_reason=reason
        )
        lifecycle.record(TABLES, using, [Subject(job.pk, job.attempt)], Verb.NOTE, message=reason)


def _named(host: ExecutorHost, job: ContainerJob) -> str:
    problems = "; ".join(above_maximum(job, host.options).values())
    return f"{host} ({problems})" if problems else str(host)


def _take_unseen(wanted: Statement, count: int, host: ExecutorHost, worker: UUID, using: str) -> list[Claim]:
    """PostgreSQL, where each of ``wanted`` fits: they are not read before they are taken."""
    ids, bound = wanted
    # The limit is said, not bound: a planner that does not know it expects a tenth of the queue.
    selection = f"{ids} LIMIT {count:d} FOR NO KEY UPDATE SKIP LOCKED"
    taken = lifecycle.transition_first(
        TABLES, using, (selection, bound),
        order=("priority DESC", "queued_at", "id"), to=Status.LAUNCHING, verb=Verb.CLAIM,
        values={"attempt": F("attempt") + 1, "worker": worker},
        opening=Opening(JobAttempt(host=host, worker=worker), [uuid7() for _ in range(count)]),
        actor=str(worker), data={"host": host.name},
    )  # fmt: skip
    return _claims_of(taken, host, worker)


def _take(jobs: list[ContainerJob], host: ExecutorHost, worker: UUID, using: str) -> list[Claim]:
    attempt_ids = {job.pk: uuid7() for job in jobs}
    moved = lifecycle.transition(
        TABLES, using, [Subject(job.pk, job.attempt + 1) for job in jobs],
        to=Status.LAUNCHING, verb=Verb.CLAIM, values={"attempt": F("attempt") + 1, "worker": worker},
        opening=Opening(JobAttempt(host=host, worker=worker), attempt_ids),
        actor=str(worker), data={"host": host.name}, are_locked=True,
    )  # fmt: skip
    numbers = dict(moved)
    taken = [job for job in jobs if job.pk in numbers]
    for job in taken:
        job.status, job.hold, job.worker, job.attempt = Status.LAUNCHING, Hold.NONE, worker, numbers[job.pk]
    return _claims_of([(job, attempt_ids[job.pk]) for job in taken], host, worker)


def _claims_of(taken: Sequence[tuple[ContainerJob, UUID]], host: ExecutorHost, worker: UUID) -> list[Claim]:
    for job, _ in taken:
        job.mark_as_loaded()
    return [Claim(job, attempt_id, job.attempt, host, worker) for job, attempt_id in taken]
