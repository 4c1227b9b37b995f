"""
Attempts without a live worker find a new owner: the takeover is committed first, then the engine is asked.

Either the old owner sees the takeover before it starts anything, or the new one sees the
execution; no grace period is trusted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from container_manager import conf
from container_manager.exceptions import ExecutionRunningError, ExecutorError
from container_manager.executors import Executor
from container_manager.models import JobAttempt, Worker
from container_manager.ownership import Claim
from container_manager.processes import is_gone
from container_manager.services import launching, recording
from container_manager.services.takeover import commit_takeover
from container_manager.specs import ExecutionState, Handle, Observation
from container_manager.states import Status
from container_manager.worker.host_runner import HostRunner

logger = logging.getLogger(__name__)

BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """What the engine said of a taken-over attempt; ``seen`` is ``None`` when it provably did not start."""

    handle: Handle
    seen: Observation | None


class Rescuer:
    """Takes over what nobody watches on one host, and finds out what became of it."""

    def __init__(self, runner: HostRunner, worker: UUID, using: str) -> None:
        self._runner, self._worker, self._using = runner, worker, using
        self._in_doubt: dict[UUID, Claim] = {}
        self._is_asking = False

    def tick(self, *, may_judge: bool) -> int:
        """Orphaned attempts are ours, and the engine is being asked about them; returns how many were taken."""
        taken = self._take_over(may_judge=may_judge)
        self._ask()
        return taken

    def _take_over(self, *, may_judge: bool) -> int:
        # Our own are among them when they are not in our hands: the claim was committed, and the answer lost.
        unwatched = (
            self._active()
            .filter(Q(worker__isnull=True) | ~Q(worker__in=self._living(may_judge=may_judge)))
            .filter(host=self._runner.host, active_job__isnull=False)
            .exclude(pk__in=[*self._runner.watches, *self._in_doubt])
        )
        found = list(unwatched[:BATCH])
        # A worker that came between the two looks is not among the first one's living.
        living = set(self._living(may_judge=may_judge)) if found else set()
        return sum(self._take(attempt) for attempt in found if attempt.worker not in living)

    def _take(self, attempt: JobAttempt) -> bool:
        if attempt.worker != self._worker:
            reason = f"Worker {attempt.worker} is gone."
            if not commit_takeover(attempt, self._worker, self._using, reason=reason):
                return False
        # What it was may have moved between the first look and the takeover.
        attempt = self._active().get(pk=attempt.pk)
        claim = Claim(attempt.job, attempt.pk, attempt.number, self._runner.host, self._worker)
        if attempt.job.status == Status.RUNNING:
            watch = self._runner.adopt(claim)
            watch.killed_by, watch.killed_at = attempt.killed_by, attempt.killed_at
            self._runner.observer.hurry()
        else:
            self._in_doubt[attempt.pk] = claim
        return True

    def _active(self) -> QuerySet[JobAttempt]:
        return JobAttempt.objects.using(self._using).select_related("job", "job__environment_template")

    def _living(self, *, may_judge: bool) -> list[UUID]:
        """Everybody else who may still be at work. Stale by its heartbeat is judged only by who may."""
        others = Worker.objects.using(self._using).exclude(pk=self._worker)
        if may_judge:
            others = others.alive()
        return [pk for pk, identity in others.values_list("pk", "process_identity") if not is_gone(identity)]

    def _ask(self) -> None:
        if self._is_asking or not self._in_doubt or self._runner.monitor.is_down:
            return
        self._is_asking = True
        claims = list(self._in_doubt.values())
        handles = [self._runner.handle_of(claim) for claim in claims]
        self._runner.calls.submit(
            lambda findings, error: self._on_found(claims, findings, error),
            look, self._runner.executor, handles, self._runner.host.engine_id,
        )  # fmt: skip

    def _on_found(self, claims: Sequence[Claim], findings: list[Finding] | None, error: Exception | None) -> None:
        self._is_asking = False
        if findings is None:
            self._runner.monitor.note(error)
            return
        by_name = {finding.handle.name: finding for finding in findings}
        for claim in claims:
            finding = by_name.get(self._runner.handle_of(claim).name)
            if finding is not None:
                self._settle(claim, finding)
                self._in_doubt.pop(claim.attempt_id)

    def _settle(self, claim: Claim, finding: Finding) -> None:
        if finding.seen is not None:
            execution_id = finding.seen.handle.execution_id
            if recording.record_started([(claim, execution_id)], self._using, owner=self._worker):
                self._runner.adopt(claim)
                self._runner.observer.hurry()
        elif recording.is_cancelled(claim, self._using):
            recording.record_cancelled_before_start(claim, self._using)
        elif claim.job.rescue_count >= conf.get("MAX_RESCUES"):
            recording.give_up_as_lost(claim, self._using)
        else:
            recording.release(claim, self._using, reason="Its worker died before the start.", is_rescue=True)


def look(executor: Executor, handles: Sequence[Handle], engine_id: str) -> list[Finding]:
    """
    For each taken-over, perhaps never started, attempt: running or ended, or provably not started.

    What was created and not started is discarded; what was started at this moment is adopted.
    Left out: what cannot be told now. ``ExecutorUnavailableError`` when it is not ``engine_id`` that answers.
    """
    seen = {observation.handle.name: observation for observation in executor.observe(handles)}
    if len(seen) < len(handles):
        launching.prove_identity(executor, engine_id)
    findings = []
    for handle in handles:
        observation = seen.get(handle.name)
        if observation is not None and observation.state is not ExecutionState.CREATED:
            findings.append(Finding(handle, observation))
            continue
        if observation is None:
            findings.append(Finding(handle, None))
            continue
        try:
            executor.discard(handle)
        except ExecutionRunningError:
            # One that is gone is adopted too: it was started, and will be missed.
            started = next(iter(executor.observe([handle])), replace(observation, state=ExecutionState.RUNNING))
            findings.append(Finding(handle, started))
            continue
        except ExecutorError as error:
            logger.warning("cannot tell what became of %s: %s", handle.name, error)
            continue
        findings.append(Finding(handle, None))
    return findings
