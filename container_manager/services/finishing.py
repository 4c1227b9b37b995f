"""The end of an attempt, written down, and what follows from it by the retry rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from container_manager import conf, lifecycle
from container_manager.models import TABLES, JobAttempt
from container_manager.ownership import Claim
from container_manager.services.batches import grouped
from container_manager.services.outcomes import explain, outcome_of
from container_manager.services.recording import clean_text
from container_manager.specs import Observation, Usage
from container_manager.sql.clock import DatabaseNow
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.sql.rowvalues import each_row
from container_manager.states import Hold, OnLost, Outcome, Status, Verb


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, as far as its engine told."""

    claim: Claim
    outcome: Outcome
    exit_code: int | None = None
    error: str = ""
    is_transient: bool = True
    """Whether another attempt could end otherwise; if not there is none, whatever the retry policy says."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    usage: Usage = field(default_factory=Usage)
    has_late_stop: bool = False
    """It was asked to stop, and had ended before the signal."""


def ending_of(
    claim: Claim, seen: Observation, usage: Usage, *, killed_by: str = "", killed_at: datetime | None = None
) -> Ending:
    """What the end of ``claim``, as its engine ``seen`` it, comes to; without any of the job's secrets."""
    outcome = outcome_of(seen, killed_by=killed_by, killed_at=killed_at)
    error = explain(outcome, seen)
    return Ending(
        claim=claim,
        outcome=outcome,
        exit_code=seen.exit_code,
        error=error if claim.masker is None else claim.masker.mask_value(error),
        is_transient=seen.is_transient,
        started_at=seen.started_at,
        finished_at=seen.finished_at,
        usage=usage,
        has_late_stop=bool(killed_by) and outcome not in (Outcome.CANCELLED, Outcome.TIMEOUT),
    )


def finish(endings: Sequence[Ending], using: str) -> set[UUID]:
    """
    Each attempt is closed, and its job is in the terminal status, or back in the queue by the retry rules.

    Returns the attempts that are finished now, also by an earlier try; the others are
    somebody else's. Atomic per call.
    """
    if not endings:
        return set()
    moved = retry_on_conflict(lambda: _finish(endings, using))
    finished = {ending.claim.attempt_id for ending in endings if ending.claim.job.pk in moved}
    rest = [ending.claim.attempt_id for ending in endings if ending.claim.attempt_id not in finished]
    if rest:
        closed = JobAttempt.objects.using(using).filter(pk__in=rest, active_job__isnull=True)
        finished |= set(closed.values_list("pk", flat=True))
    return finished


def _finish(endings: Sequence[Ending], using: str) -> set[UUID]:
    """The jobs that moved."""
    finished: set[UUID] = set()
    keys = [(ending.claim.worker, ending.claim.number, _decide(ending), ending.exit_code) for ending in endings]
    groups = grouped(keys, endings)
    late = [ending.claim.subject for ending in endings if ending.has_late_stop]
    with transaction.atomic(using=using) if len(groups) > 1 or late else nullcontext():
        for (worker, number, decision, exit_code), group in groups:
            guard = {"worker": worker, "attempt": number}
            ended = {"outcome": group[0].outcome, "exit_code": exit_code, "error": group[0].error}
            move = partial(
                lifecycle.transition, TABLES, using, sources=[Status.RUNNING], actor=str(worker),
                message=decision.message, attempt_values={**ended, **_engine_facts(group)},
                attempt_ids=[ending.claim.attempt_id for ending in group],
                data={"exit_code": exit_code, "outcome": group[0].outcome},
            )  # fmt: skip
            subjects = [ending.claim.subject for ending in group]
            if decision.to == Status.QUEUED:
                # Whoever asked for a cancellation does not want another run, however this one ended.
                wanted = {**guard, "cancel_requested_at": None}
                values = {**dict(decision.values), **ended}
                moved = move(subjects, to=Status.QUEUED, verb=decision.verb, guard=wanted, values=values)
                rest = [subject for subject in subjects if subject not in moved]
                moved += move(rest, to=Status.FAILED, verb=Verb.FAIL, guard=guard, values=ended)
            else:
                moved = move(subjects, to=decision.to, verb=decision.verb, guard=guard, values=ended)
            finished |= {subject.job_id for subject in moved}
        late = [subject for subject in late if subject.job_id in finished]
        lifecycle.record(TABLES, using, late, Verb.NOTE, message="It had ended before the stop reached it.")
    return finished


def _engine_facts(endings: Sequence[Ending]) -> dict[str, Any]:
    facts: dict[str, dict[UUID, Any]] = defaultdict(dict)
    for ending in endings:
        known = {
            "started_at": ending.started_at, "engine_finished_at": ending.finished_at,
            "memory_peak_bytes": ending.usage.memory_peak_bytes, "cpu_seconds": ending.usage.cpu_seconds,
        }  # fmt: skip
        for name, value in known.items():
            if value is not None:
                facts[name][ending.claim.attempt_id] = value
    return {name: each_row(JobAttempt, name, values, rows=len(endings)) for name, values in facts.items()}


@dataclass(frozen=True, slots=True)
class _Decision:
    to: Status
    verb: Verb
    values: tuple[tuple[str, Any], ...] = ()
    message: str = ""


def _decide(ending: Ending) -> _Decision:
    job, outcome = ending.claim.job, ending.outcome
    if outcome is Outcome.OK:
        return _Decision(Status.COMPLETED, Verb.COMPLETE)
    message = clean_text(ending.error) or f"outcome {outcome}, exit code {ending.exit_code}"
    if outcome is Outcome.CANCELLED:
        return _Decision(Status.CANCELLED, Verb.CANCEL, message=message)
    if not ending.is_transient:
        return _Decision(Status.FAILED, Verb.FAIL, message=message)
    policy = conf.retry_policies().get(job.retry_policy) or conf.retry_policies()[""]
    if outcome is Outcome.LOST:
        if job.on_lost == OnLost.RETRY and job.rescue_count < conf.get("MAX_RESCUES"):
            return _rerun("rescue_count", policy.delay_seconds(job.rescue_count + 1), message)
        return _Decision(Status.FAILED, Verb.FAIL, message=message)
    if policy.allows(outcome, ending.exit_code, reruns=job.rerun_count, infra_reruns=job.infra_rerun_count):
        if outcome in (Outcome.INFRA_ERROR, Outcome.IMAGE_ERROR):
            return _rerun("infra_rerun_count", policy.delay_seconds(job.infra_rerun_count + 1), message)
        return _rerun("rerun_count", policy.delay_seconds(job.rerun_count + 1), message)
    return _Decision(Status.FAILED, Verb.FAIL, message=message)


def _rerun(counter: str, delay: float, message: str) -> _Decision:
    values = {
        counter: F(counter) + 1, "hold": Hold.BACKOFF, "hold_until": DatabaseNow() + timedelta(seconds=delay),
        "hold_reason": f"{message} It runs again in {delay:.0f} s.", "progress": None,
        "progress_text": "", "result": None,
    }  # fmt: skip
    return _Decision(Status.QUEUED, Verb.RETRY, tuple(values.items()), message)
