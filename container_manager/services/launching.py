"""Create, confirm, start: the launch of claimed attempts, with no transaction open."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import connections

from container_manager.exceptions import (
    ConfigurationError,
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorError,
    ExecutorUnavailableError,
    SpecificationError,
)
from container_manager.executors import Executor
from container_manager.models import ContainerJob, JobAttempt
from container_manager.ownership import Claim, owned
from container_manager.services import inputs
from container_manager.services.batches import grouped
from container_manager.services.executions import build_spec, executor_for, installation_id
from container_manager.specs import ExecutionState, Handle
from container_manager.sql.arrays import among
from container_manager.sql.scalars import count_where
from container_manager.sql.updates import conditions_of
from container_manager.states import Outcome


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """
    What a launch came to. ``success`` means that the execution was started.

    On failure ``is_transient`` says whether another try can help; ``is_silence``: it is the engine that
    did not answer, or failed. ``is_unsettled``: only a later look can tell whether it started; nothing
    may be concluded.
    """

    success: bool
    error: str = ""
    execution_id: str = ""
    is_transient: bool = True
    outcome: Outcome = Outcome.INFRA_ERROR
    is_silence: bool = False
    is_unsettled: bool = False

    @classmethod
    def of(cls, answer: Any) -> LaunchResult:
        """``answer`` itself, or what a replacement of the service says by ``success``, ``error``, ``execution_id``."""
        if isinstance(answer, cls):
            return answer
        execution_id = getattr(answer, "execution_id", "")
        return cls(
            success=bool(answer.success),
            error=str(getattr(answer, "error", "") or ""),
            execution_id=execution_id if isinstance(execution_id, str) else "",
        )

    @classmethod
    def from_error(cls, error: Exception) -> LaunchResult:
        """The failure that ``error`` is; what no executor foresaw counts as transient."""
        text = str(error) or type(error).__name__
        if isinstance(error, ExecutorError):
            is_silence = isinstance(error, ExecutorUnavailableError)
            return cls(
                success=False, error=text, is_transient=error.transient, outcome=error.outcome, is_silence=is_silence
            )
        if isinstance(error, ConfigurationError):
            return cls(success=False, error=text, is_transient=False, outcome=Outcome.CONFIG_ERROR)
        return cls(success=False, error=f"{type(error).__name__}: {text}")


def create(claim: Claim, executor: Executor, installation: str) -> Handle:
    """
    The execution of ``claim`` is prepared, with its files and secrets; the user's work has not begun.

    Raises what the executor raises, without the job's secrets.
    """
    try:
        spec = build_spec(claim, installation, executor)
    except ValueError as error:
        raise SpecificationError(f"The command cannot be split: {error}.") from error
    try:
        handle = executor.create(spec)
        if spec.has_files or spec.secret_files:
            inputs.hand_over(claim, executor, spec, handle)
    except ExecutorError as error:
        if claim.masker is None:
            raise
        raise type(error)(claim.masker.mask_value(str(error))) from None
    except Exception as error:
        if claim.masker is None:
            raise
        raise RuntimeError(claim.masker.mask_value(f"{type(error).__name__}: {error}")) from None
    return handle


def confirm(claims: Collection[Claim], using: str) -> set[UUID]:
    """
    Ids of the attempts that their worker still owns and that nobody asked to stop.

    The last look before the start, at the primary: a takeover committed before it is seen.
    """
    groups = grouped([claim.worker for claim in claims], [claim.attempt_id for claim in claims])
    confirmed: set[UUID] = set()
    for worker, ids in groups:
        # Nearly always all stand: their number says so for less than their ids do.
        if _count_standing(ids, worker, using) == len(ids):
            confirmed.update(ids)
        else:
            confirmed.update(owned(ids, worker, using).filter(stop_requested="").values_list("pk", flat=True))
    return confirmed


def _count_standing(ids: Collection[UUID], worker: UUID, using: str) -> int:
    connection = connections[using]
    standing = conditions_of(JobAttempt, {"worker": worker, "stop_requested": ""}, connection)
    return count_where(JobAttempt, [among(ids, JobAttempt._meta.pk, connection), *standing], using)


def start(executor: Executor, handle: Handle, *, engine_id: str = "") -> LaunchResult:
    """
    The execution was started, or provably was not; ``is_unsettled`` where the engine cannot be asked.

    After a failed start the engine is asked: what runs is a success, what does not is removed.
    ``engine_id``: whose word counts, if it is known.
    """
    try:
        executor.start(handle)
    except ExecutionNotFoundError as error:
        return LaunchResult.from_error(error)
    except ExecutorError as error:
        return settle(executor, handle, LaunchResult.from_error(error), engine_id=engine_id)
    return LaunchResult(success=True, execution_id=handle.execution_id)


def settle(executor: Executor, handle: Handle, failure: LaunchResult, *, engine_id: str = "") -> LaunchResult:
    """What a start of unknown end came to, by the engine's own word: ``failure`` only where nothing runs."""
    try:
        seen = next(iter(executor.observe([handle])), None)
        if seen is None:
            prove_identity(executor, engine_id)
            return replace(failure, is_unsettled=False)
        if seen.state is ExecutionState.CREATED:
            executor.discard(handle)
            return replace(failure, is_unsettled=False)
    except ExecutionRunningError:
        return LaunchResult(success=True, execution_id=handle.execution_id)
    except ExecutorError:
        return replace(failure, is_unsettled=True)
    return LaunchResult(success=True, execution_id=seen.handle.execution_id or handle.execution_id)


def prove_identity(executor: Executor, engine_id: str) -> None:
    """
    It was the engine ``engine_id`` that answered just before, if that is known.

    ``ExecutorUnavailableError``: another one has its address, and what it does not know may run elsewhere.
    """
    found = executor.check().engine_id if engine_id else ""
    if found != engine_id:
        raise ExecutorUnavailableError(f"Another engine answers: {found}, not {engine_id}.")


class JobService:
    """The launch of one claimed job, from its row."""

    def launch_job(self, job: ContainerJob) -> LaunchResult:
        """
        The execution of ``job``, which is LAUNCHING, was created and started; or why not.

        Writes nothing but the checksums of its inputs: its caller records what it returns. Raises what an
        executor raises on ``create``.
        """
        using = job.write_alias
        attempt = JobAttempt.objects.using(using).select_related("host").get(active_job=job)
        if attempt.worker is None:
            raise ExecutorUnavailableError(f"Attempt {attempt.number} of job {job.pk} has no owner.")
        claim = Claim(job, attempt.pk, attempt.number, attempt.host, attempt.worker)
        installation = installation_id(using)
        executor = executor_for(claim.host, installation)
        handle = create(claim, executor, installation)
        inputs.record([claim], using)
        if claim.attempt_id not in confirm([claim], using):
            return LaunchResult(success=False, error="The job was cancelled, or taken over, before its start.")
        return start(executor, handle, engine_id=claim.host.engine_id)


job_service = JobService()
