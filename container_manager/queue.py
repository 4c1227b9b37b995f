"""The queue: the public facade over the lifecycle, the claim and the launch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from django.utils import timezone

from container_manager import batches, claiming, hosts, intake, services, stopping, turns
from container_manager.exceptions import JobValidationError
from container_manager.intake import OnConflict
from container_manager.lifecycle import SYSTEM
from container_manager.models import ContainerJob, ExecutorHost, JobBatch
from container_manager.models.job_queryset import JobQuerySet, QueueStats
from container_manager.ownership import Claim


class LaunchAnswer(TypedDict, total=False):
    success: bool
    error: str


class JobQueueManager:
    """
    Everything that can be done to the queue. Stateless, safe from any thread and process.

    Everything but ``claim``, ``launch_job`` and ``launch_ready`` joins the caller's transaction:
    a rollback undoes it. ``actor`` is who asks, a user's name for example; the job's events keep it.
    """

    @property
    def using(self) -> str:
        """The database of the queue, by the project's router."""
        return JobQuerySet(ContainerJob).write_alias

    def queue_job(
        self,
        job: ContainerJob,
        schedule_for: datetime | None = None,
        priority: int | None = None,
        *,
        on_conflict: OnConflict = "raise",
        actor: str = SYSTEM,
    ) -> ContainerJob:
        """
        ``job`` is in the queue, at its end within its priority; it is returned.

        ``schedule_for`` (aware): not before then; ``None`` keeps what the job has. A failed job
        starts afresh. Raises ``JobAlreadyQueuedError``, ``JobNotQueueableError`` (completed or
        cancelled), ``JobValidationError`` (naming the field), ``QueueCapacityError``; then
        nothing has changed.

        A ``unique_key`` is held by one unfinished job at a time. When another has it, ``on_conflict`` says
        what happens: ``raise`` = ``DuplicateJobError``; ``return`` = that job is returned, ``job`` left
        alone; ``replace`` = that job is cancelled in the same transaction, unless it has been launched,
        which raises as above.
        """
        return intake.queue_one(
            job,
            schedule_for=schedule_for,
            priority=priority,
            on_conflict=on_conflict,
            using=self.using,
            actor=actor,
        )

    def queue_jobs(self, jobs: Iterable[ContainerJob], *, actor: str = SYSTEM) -> list[ContainerJob]:
        """
        All of ``jobs``, saved or not, are in the queue in their order, or none is.

        A handful of statements for a thousand. Raises as ``queue_job`` does, for the first that is wrong.
        """
        return intake.queue_many(list(jobs), using=self.using, actor=actor)

    def queue_batch(
        self,
        jobs: Iterable[ContainerJob],
        *,
        name: str = "",
        max_running: int | None = None,
        on_complete: batches.OnComplete = "",
        actor: str = SYSTEM,
    ) -> JobBatch:
        """
        All of ``jobs``, saved or not, are in the queue as ``queue_jobs`` puts them there, and are one batch.

        ``batch.progress()`` counts them. At most ``max_running`` are on their way at once. When the last
        has ended, however, ``on_complete``, a function of a module or its dotted path, is called with
        the batch in a worker, at least once. Raises as ``queue_jobs`` does; ``JobValidationError`` also
        for a job of another batch, a limit below 1, and a path that cannot be imported.
        """
        return batches.queue_batch(
            list(jobs), using=self.using, name=name, max_running=max_running, on_complete=on_complete, actor=actor
        )

    def cancel_batch(self, batch: JobBatch, *, actor: str = SYSTEM) -> int:
        """Every unfinished job of ``batch`` is cancelled, or asked to stop, as ``cancel_job`` does; how many were."""
        return batches.cancel_batch(batch, using=self.using, actor=actor)

    def create_and_queue(self, **fields: Any) -> ContainerJob:
        """
        A new job with ``fields`` is in the queue: one INSERT of the row.

        ``schedule_for`` and ``on_conflict`` are ``queue_job``'s, and so are the errors.
        """
        schedule_for, on_conflict = fields.pop("schedule_for", None), fields.pop("on_conflict", "raise")
        return self.queue_job(ContainerJob(**fields), schedule_for=schedule_for, on_conflict=on_conflict)

    def get_ready_jobs(self, limit: int | None = None, exclude_ids: Collection[UUID] | None = None) -> JobQuerySet:
        """
        Jobs that may be launched now, highest priority first, then first in, first out.

        Judged by status, schedule and retry budget, whatever ``hold`` says. ``limit=0`` is none.
        ``ValueError`` for a negative limit. A look, not a claim: others see them too.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"limit is {limit}; give 0 or more, or None for all.")
        ready = JobQuerySet(ContainerJob, using=self.using).launchable().in_order()
        if exclude_ids:
            ready = ready.exclude(pk__in=list(exclude_ids))
        if limit == 0:
            return ready.none()
        return ready if limit is None else ready[:limit]

    def dequeue_job(self, job: ContainerJob, *, actor: str = SYSTEM) -> ContainerJob:
        """
        ``job`` is PENDING again: ``queued_at``, ``scheduled_for`` and ``retry_count`` are cleared.

        Also a job that failed without ever being launched. ``JobNotQueuedError`` for any other
        status, and for one that was claimed meanwhile; nothing has changed then.
        """
        return intake.dequeue_one(job, actor=actor)

    def cancel_job(self, job: ContainerJob, *, actor: str = SYSTEM) -> ContainerJob:
        """
        A pending or queued job is CANCELLED; an active one is asked to stop, and its worker ends it.

        Asking twice is one request. ``InvalidTransitionError`` when the job has ended already.
        """
        return stopping.cancel(job, using=self.using, actor=actor)

    def retry_job(self, job: ContainerJob, *, actor: str = SYSTEM) -> ContainerJob:
        """A FAILED job is in the queue again, afresh. ``JobNotQueueableError`` for any other status."""
        return intake.retry_one(job, using=self.using, actor=actor)

    def clone_job(self, job: ContainerJob, **changes: Any) -> ContainerJob:
        """A new, saved, PENDING job with ``job``'s specification and ``changes``. ``JobValidationError`` as above."""
        return intake.clone(job, changes, using=self.using)

    def get_queue_stats(self) -> QueueStats:
        """
        Counts: ``queued`` (with launches left, scheduled included), ``scheduled``, ``running``, ``launch_failed``.

        ``launch_failed`` are jobs that never started and are out of launches, or failed for good.
        """
        return JobQuerySet(ContainerJob, using=self.using).queue_stats(timezone.now())

    def claim(self, host: ExecutorHost, worker: UUID, *, queue: str = "default", limit: int = 1) -> list[Claim]:
        """See ``claiming.claim``: up to ``limit`` jobs are committed as ``worker``'s. The workers' way in."""
        return claiming.claim(host, worker, queue=queue, limit=limit, using=self.using)

    def launch_job(self, job: ContainerJob) -> LaunchAnswer:
        """
        ``{"success": True}``: the job runs, and the next worker watches it. Otherwise ``success`` is false and
        ``error`` says why; a launch that failed has spent one of ``max_retries``.

        Never raises for a failed launch. A job that is not ready, or no host with room: nothing
        has changed. Inside ``atomic()`` likewise: call it in ``transaction.on_commit``. ``job``
        shows the row as it is afterwards.
        """
        using = self.using
        try:
            with services.caller(using) as worker:
                return self._launch(job, worker, using)
        except services.OpenTransactionError as error:
            return LaunchAnswer(success=False, error=str(error))

    def launch_ready(self, limit: int | None = None) -> dict[str, int]:
        """Up to ``limit`` ready jobs were launched one by one: ``{"launched": n, "failed": m}``."""
        answers = [self.launch_job(job)["success"] for job in list(self.get_ready_jobs(limit=limit))]
        return {"launched": answers.count(True), "failed": answers.count(False)}

    def wait_for(self, job: ContainerJob, timeout: float | None = None) -> ContainerJob:
        """
        ``job``, refreshed, COMPLETED. Polls; ``timeout`` in seconds.

        ``JobFailedError`` with exit code, outcome and last lines when it ended otherwise,
        ``JobWaitTimeoutError`` when it goes on; ``RuntimeError`` inside ``atomic()``, where its end
        could never be seen.
        """
        return stopping.wait_until_finished(job, timeout=timeout, using=self.using)

    def _launch(self, job: ContainerJob, worker: UUID, using: str) -> LaunchAnswer:
        node = hosts.node_name()
        serving = hosts.serving(hosts.reachable_hosts(using, node), job.queue)
        if not serving:
            return LaunchAnswer(success=False, error=hosts.why_no_host(using, job.queue, node))
        if refusal := turns.take_place(job.pk, using):
            return LaunchAnswer(success=False, error=refusal)
        refusals = []
        for host in serving:
            try:
                claim = claiming.claim_job(job.pk, host, worker, using=using)
            except claiming.ClaimRefusedError as refusal:
                refusals.append(str(refusal))
                continue
            if claim is None:
                return LaunchAnswer(success=False, error=claiming.why_not_launchable(job.pk, using))
            job.refresh_from_db(using=using)
            return self._launch_claimed(job, claim, using)
        return LaunchAnswer(success=False, error=" ".join(refusals))

    def _launch_claimed(self, job: ContainerJob, claim: Claim, using: str) -> LaunchAnswer:
        try:
            result = services.LaunchResult.of(services.job_service.launch_job(job))
        except Exception as error:  # noqa: BLE001 - whatever an executor raises, the job is accounted for
            result = services.LaunchResult.from_error(error)
        answer = services.record_launch(claim, result, using)
        job.refresh_from_db(using=using)
        return LaunchAnswer(success=True) if not answer else LaunchAnswer(success=False, error=answer)


queue_manager = JobQueueManager()

__all__ = ["JobQueueManager", "JobValidationError", "LaunchAnswer", "QueueStats", "queue_manager"]
