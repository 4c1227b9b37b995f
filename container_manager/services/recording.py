"""What became of a launch, written down: started, not started, given back. Each is a compare-and-set on its owner."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from container_manager import conf, lifecycle, telemetry
from container_manager.models import TABLES, JobAttempt
from container_manager.ownership import Claim, owned
from container_manager.services.batches import grouped
from container_manager.services.launching import LaunchResult
from container_manager.sql.clock import DatabaseNow
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.sql.rowvalues import each_row
from container_manager.states import Hold, Outcome, Status, StopReason, Verb


def record_started(claims: Sequence[tuple[Claim, str]], using: str, *, owner: UUID | None) -> set[UUID]:
    """
    Each job whose claim still stands is RUNNING, its attempt ``owner``'s, and its time limit runs.

    ``claims`` come with the engine's id of the execution. Returns the attempts that are RUNNING
    under ``owner`` now, also when an earlier try had recorded them; the others are somebody
    else's: touch nothing. Atomic.
    """
    if not claims:
        return set()
    recorded = retry_on_conflict(lambda: _record_started(claims, using, owner))
    rest = [claim.attempt_id for claim, _ in claims if claim.attempt_id not in recorded]
    if rest:
        before = JobAttempt.objects.using(using).filter(pk__in=rest, worker=owner, active_job__status=Status.RUNNING)
        recorded |= set(before.values_list("pk", flat=True))
    for claim, _ in claims if telemetry.is_tracing() else ():
        if claim.attempt_id in recorded:
            _trace(claim)
    return recorded


def _record_started(claims: Sequence[tuple[Claim, str]], using: str, owner: UUID | None) -> set[UUID]:
    recorded: set[UUID] = set()
    keys = [(claim.worker, claim.number, claim.timeout_seconds) for claim, _ in claims]
    groups = grouped(keys, claims)
    with transaction.atomic(using=using) if len(groups) > 1 else nullcontext():
        for (worker, number, timeout), group in groups:
            started: dict[str, Any] = {"worker": owner, "started_at": DatabaseNow()}
            ids = {claim.attempt_id: execution_id for claim, execution_id in group}
            attempt = {**started, "execution_id": each_row(JobAttempt, "execution_id", ids, rows=len(ids))}
            if timeout:
                attempt["deadline_at"] = DatabaseNow() + timedelta(seconds=timeout)
            moved = lifecycle.transition(
                TABLES, using, [claim.subject for claim, _ in group],
                to=Status.RUNNING, verb=Verb.START, guard={"worker": worker, "attempt": number},
                sources=[Status.LAUNCHING], values=started, attempt_values=attempt, attempt_ids=list(ids),
                actor=str(worker),
            )  # fmt: skip
            moved_ids = {subject.job_id for subject in moved}
            recorded |= {claim.attempt_id for claim, _ in group if claim.job.pk in moved_ids}
    return recorded


def _trace(claim: Claim, error: str = "") -> None:
    job = claim.job
    telemetry.launched(
        job.queue, job.pk, claim.number, context=job.trace_context, claimed_at_ns=claim.claimed_at_ns, error=error
    )


def record_launch_failure(claim: Claim, result: LaunchResult, using: str) -> Status | None:
    """
    The attempt is closed; the job waits for its next try, or has FAILED for good. Atomic.

    For good: the failure is permanent, or ``max_retries`` launches have failed. Returns the
    job's new status; ``None`` = the claim no longer stood, nothing was written.
    """
    job = claim.job
    failures = job.retry_count + 1
    is_final = not result.is_transient or failures >= job.max_retries
    _trace(claim, result.error or "The launch failed.")
    policy = conf.retry_policies().get(job.retry_policy) or conf.retry_policies()[""]
    values: dict[str, Any] = {"retry_count": failures, "error": clean_text(result.error), "outcome": result.outcome}
    if is_final:
        values["launched_at"] = None
    else:
        delay = policy.delay_seconds(failures)
        values |= {
            "hold": Hold.BACKOFF, "hold_until": DatabaseNow() + timedelta(seconds=delay),
            "hold_reason": f"Launch {failures} of {job.max_retries} failed; the next try follows in {delay:.0f} s.",
        }  # fmt: skip
    return _leave_launching(
        claim, using,
        to=Status.FAILED if is_final else Status.QUEUED, verb=Verb.FAIL if is_final else Verb.RETRY, values=values,
        attempt_values={"outcome": result.outcome, "error": clean_text(result.error)}, message=clean_text(result.error),
    )  # fmt: skip


def release(claim: Claim, using: str, *, reason: str, is_rescue: bool = False) -> Status | None:
    """
    An attempt that provably did not start is given back: the job is ready again and no budget is spent. Atomic.

    A rescue is counted, so that a job whose launch kills its worker each time ends at ``MAX_RESCUES``.
    """
    values = {"rescue_count": claim.job.rescue_count + 1} if is_rescue else {}
    return _leave_launching(
        claim,
        using,
        to=Status.QUEUED,
        verb=Verb.RELEASE,
        values=values,
        attempt_values={"error": reason},
        message=reason,
    )


def give_up_as_lost(claim: Claim, using: str) -> Status | None:
    """A job whose launch was cut short ``MAX_RESCUES`` times has FAILED with outcome ``lost``. Atomic."""
    message = f"Given up: its worker died {claim.job.rescue_count + 1} times while it was launched (MAX_RESCUES)."
    values = {"outcome": Outcome.LOST, "error": message}
    return _leave_launching(
        claim, using, to=Status.FAILED, verb=Verb.FAIL, values={**values, "launched_at": None},
        attempt_values=values, message=message,
    )  # fmt: skip


def record_cancelled_before_start(claim: Claim, using: str) -> Status | None:
    """A job whose cancellation came before its start is CANCELLED. Atomic."""
    values = {"outcome": Outcome.CANCELLED, "error": "Cancelled before it started."}
    return _leave_launching(
        claim, using, to=Status.CANCELLED, verb=Verb.CANCEL, values={**values, "launched_at": None},
        attempt_values=values, message=values["error"],
    )  # fmt: skip


def _leave_launching(
    claim: Claim,
    using: str,
    *,
    to: Status,
    verb: Verb,
    values: dict[str, Any],
    attempt_values: dict[str, Any],
    message: str,
) -> Status | None:
    guard: dict[str, Any] = {"worker": claim.worker, "attempt": claim.number}
    if to == Status.QUEUED:
        guard["cancel_requested_at"] = None
    moved = retry_on_conflict(
        lambda: lifecycle.transition(
            TABLES, using, [claim.subject], to=to, verb=verb, guard=guard, values=values, attempt_values=attempt_values,
            sources=[Status.LAUNCHING], actor=str(claim.worker), message=message,
        )
    )  # fmt: skip
    if moved:
        return to
    # Somebody asked for a cancellation meanwhile: then it is not queued again.
    return record_cancelled_before_start(claim, using) if to == Status.QUEUED else None


def is_cancelled(claim: Claim, using: str) -> bool:
    """Whether the attempt of ``claim``, still open, is asked to stop."""
    rows = owned([claim.attempt_id], claim.worker, using)
    return rows.filter(stop_requested=StopReason.CANCEL).exists()


def request_stop(claim: Claim, reason: StopReason, using: str) -> datetime | None:
    """
    ``killed_by`` is written, before any signal is sent; returns when, ``None`` = the attempt is not ``claim``'s.

    So a later 137 is never misread, whoever collects it. Asked again, the first request stands.
    """
    rows = owned([claim.attempt_id], claim.worker, using)
    if rows.filter(killed_by="").update(killed_by=reason, killed_at=DatabaseNow()):
        label = str(StopReason(reason).label)
        lifecycle.record(TABLES, using, [claim.subject], Verb.STOP, actor=str(claim.worker), message=label)
    return rows.values_list("killed_at", flat=True).first()


def clean_text(text: str, limit: int = 10_000) -> str:
    """``text`` as every database takes it: no NUL, and not endless."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:limit]
