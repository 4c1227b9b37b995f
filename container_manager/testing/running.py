"""A queued job run to its end on the caller's own connection, by the steps of a worker."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from container_manager import claiming, due, services, turns
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.executors import Executor
from container_manager.executors.fake import FakeEngine, Script
from container_manager.models import ContainerJob, ExecutorHost, Installation
from container_manager.ownership import Claim
from container_manager.services import outputs, recording
from container_manager.services.executions import handle_of
from container_manager.services.finishing import ending_of, finish
from container_manager.services.output import OutputWriter, store_output
from container_manager.services.reading import OutputReader, store_progress
from container_manager.specs import Handle
from container_manager.sql.clock import DatabaseNow
from container_manager.states import Hold, Status


class Running:
    """Claims from every queue for a host of the fake ``engine``, and ends what it claims."""

    def __init__(self, engine: FakeEngine, worker: UUID, using: str) -> None:
        self._engine, self._worker, self._using = engine, worker, using
        self._host, _ = ExecutorHost.objects.using(using).get_or_create(
            name="testing",
            defaults={
                "executor_type": "fake", "options": {"engine": engine.name}, "queues": [],
                "max_concurrent_jobs": 1_000_000,
            },
        )  # fmt: skip
        self._installation = Installation.current(using).identifier
        self._executor: Executor = services.executor_for(self._host, self._installation)

    def make_ready(self, *, scheduled: bool) -> None:
        """What waits for its next try is ready, with ``scheduled`` also what is not due yet; limits hold."""
        holds = [Hold.BACKOFF, Hold.SCHEDULE] if scheduled else [Hold.BACKOFF]
        jobs = ContainerJob.objects.using(self._using).filter(status=Status.QUEUED, hold__in=holds)
        jobs.update(hold_until=DatabaseNow())
        while due.promote(self._using):
            pass
        turns.admit(self._using)

    def claim(self) -> Claim | None:
        """The best ready job of all queues is claimed; ``None`` = nothing is ready."""
        ready = ContainerJob.objects.using(self._using).filter(status=Status.QUEUED, hold=Hold.NONE)
        queues = sorted(ready.order_by().values_list("queue", flat=True).distinct())
        for queue in claiming.queue_heads(self._using, queues):
            for claim in claiming.claim(self._host, self._worker, queue=queue, limit=1, using=self._using):
                return claim
        return None

    def run(self, claim: Claim, choose: Callable[[Claim], Script]) -> None:
        """The attempt of ``claim`` has ended as the chosen script says; its job with it, or it waits for the next."""
        script = choose(claim)
        self._engine.script(lambda spec: script)
        try:
            result = services.job_service.launch_job(claim.job)
        except (ExecutorError, ConfigurationError) as error:
            result = services.LaunchResult.from_error(error)
        if not result.success:
            services.record_launch(claim, result, self._using)
            return
        recording.record_started([(claim, result.execution_id)], self._using, owner=self._worker)
        handle = handle_of(claim, self._installation)
        self._keep_output(claim, handle)
        (seen,) = self._executor.observe([handle])
        ending = ending_of(claim, seen, self._executor.usage(handle))
        if outputs.leaves_files(ending, self._executor):
            harvest = outputs.begin(claim, self._using)
            outputs.collect(harvest, self._executor, handle)
            outputs.publish(harvest, self._using)
            ending = outputs.judged(ending, harvest)
        finish([ending], self._using)
        self._executor.remove(handle)

    def _keep_output(self, claim: Claim, handle: Handle) -> None:
        writer, reader = OutputWriter(claim.attempt_id), OutputReader(claim)
        has_more = True
        while has_more:
            batch = self._executor.logs(handle, writer.cursor)
            has_more = batch.has_more
            readable = reader.read(batch, is_end=not has_more, must_take=True)
            write = writer.take(readable) if readable is not None else None
            store_output([write] if write is not None else [], self._worker, self._using)
        if reader.progress is not None:
            store_progress({claim.job.pk: reader.progress}, self._worker, self._using)
