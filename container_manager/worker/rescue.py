"""
Attempts without a live worker find a new owner: the takeover is committed first, then the engine is asked.

Either the old owner sees the takeover before it starts anything, or the new one sees the
execution; no grace period is trusted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction

from container_manager import conf, lifecycle
from container_manager.exceptions import ExecutionRunningError, ExecutorError
from container_manager.executors import Executor
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob, JobAttempt, Worker
from container_manager.ownership import Claim
from container_manager.services import recording
from container_manager.specs import ExecutionState, Handle, Observation
from container_manager.states import ACTIVE, Status, Verb
from container_manager.worker.host_runner import HostRunner
from container_manager.worker.identity import is_gone

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
        active = (
            JobAttempt.objects.using(self._using)
            .filter(host=self._runner.host, active_job__isnull=False)
            .exclude(pk__in=list(self._runner.watches))
            .exclude(pk__in=list(self._in_doubt))
        )
        rows = list(active.values_list("pk", "job_id", "number", "worker")[:BATCH])
        if not rows:
            return 0
        gone = self._gone({worker for *_, worker in rows if worker is not None}, may_judge=may_judge)
        count = 0
        for attempt_id, job_id, number, owner in rows:
            # Ours, and not in our hands: its claim was committed, and the answer lost.
            is_ours = owner == self._worker
            if is_ours or (
                (owner is None or owner in gone) and self._commit_takeover(attempt_id, Subject(job_id, number), owner)
            ):
                self._adopt_row(attempt_id)
                count += 1
        return count

    def _gone(self, owners: set[UUID], *, may_judge: bool) -> set[UUID]:
        workers = Worker.objects.using(self._using).filter(pk__in=owners)
        identities = dict(workers.values_list("pk", "process_identity"))
        gone = {owner for owner in owners if owner not in identities or is_gone(identities[owner])}
        if may_judge:
            gone |= set(workers.dead().values_list("pk", flat=True))
        return gone

    def _commit_takeover(self, attempt_id: UUID, subject: Subject, owner: UUID | None) -> bool:
        with transaction.atomic(using=self._using):
            jobs = ContainerJob.objects.using(self._using).filter(
                pk=subject.job_id, attempt=subject.attempt, worker=owner, status__in=ACTIVE
            )
            if not jobs.update(worker=self._worker):
                return False
            attempts = JobAttempt.objects.using(self._using).filter(pk=attempt_id, active_job__isnull=False)
            if not attempts.filter(worker=owner).update(worker=self._worker):
                transaction.set_rollback(True, using=self._using)
                return False
            if owner is not None:
                lifecycle.record(
                    TABLES,
                    self._using,
                    [subject],
                    Verb.RESCUE,
                    actor=str(self._worker),
                    message=f"Worker {owner} is gone.",
                )
        return True

    def _adopt_row(self, attempt_id: UUID) -> None:
        attempt = (
            JobAttempt.objects.using(self._using).select_related("job", "job__environment_template").get(pk=attempt_id)
        )
        claim = Claim(attempt.job, attempt.pk, attempt.number, self._runner.host, self._worker)
        if attempt.job.status == Status.RUNNING:
            watch = self._runner.adopt(claim)
            watch.killed_by, watch.killed_at = attempt.killed_by, attempt.killed_at
            self._runner.observer.hurry()
            return
        self._in_doubt[attempt_id] = claim

    def _ask(self) -> None:
        if self._is_asking or not self._in_doubt or self._runner.monitor.is_down:
            return
        self._is_asking = True
        claims = list(self._in_doubt.values())
        handles = [self._runner.handle_of(claim) for claim in claims]
        self._runner.calls.submit(
            lambda findings, error: self._on_found(claims, findings, error), look, self._runner.executor, handles
        )

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


def look(executor: Executor, handles: Sequence[Handle]) -> list[Finding]:
    """
    For each taken-over, perhaps never started, attempt: running or ended, or provably not started.

    What was created and not started is removed; a removal that finds it running adopts it.
    Left out: what cannot be told now.
    """
    seen = {observation.handle.name: observation for observation in executor.observe(handles)}
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
            executor.remove(handle)
        except ExecutionRunningError:
            running = executor.observe([handle])
            if running:
                findings.append(Finding(handle, running[0]))
            continue
        except ExecutorError as error:
            logger.warning("cannot tell what became of %s: %s", handle.name, error)
            continue
        findings.append(Finding(handle, None))
    return findings
