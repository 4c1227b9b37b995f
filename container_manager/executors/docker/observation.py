"""An execution as the engine's ``inspect`` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from container_manager.executors.docker.dialects import Dialect
from container_manager.specs import (
    LABEL_ATTEMPT,
    LABEL_INSTALLATION,
    LABEL_JOB,
    ExecutionState,
    Handle,
    Observation,
    Usage,
    execution_name,
)
from container_manager.states import Outcome

SETTLE: Final = timedelta(seconds=10)
"""How long a container may be settling before it is taken for ended all the same: nobody may come to clean it up."""
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
CANNOT_RUN: Final = frozenset({NOT_EXECUTABLE, NOT_FOUND})
"""Exit codes of a program that cannot be run or found, as a shell and the init process give them too."""


def observe_container(found: Mapping[str, Any], dialect: Dialect) -> Observation | None:
    """What ``found`` is; ``None`` when it is no execution of ours, or one that vanishes without having run."""
    handle = Handle(found["Name"].removeprefix("/"), found["Id"])
    labels = found["Config"]["Labels"] or {}
    state = found["State"]
    owner = _owner(handle.name, labels)
    status = dialect.states.get(state["Status"])
    started_at = _moment(state["StartedAt"])
    if owner is None or status is None or (status is ExecutionState.EXITED and _is_vanishing(state, started_at)):
        return None
    if state["Status"] in dialect.settling_states and _is_recent(state["FinishedAt"]):
        status = ExecutionState.RUNNING
    job_id, attempt = owner
    is_over = status is ExecutionState.EXITED
    finished_at = _moment(state["FinishedAt"]) if is_over else None
    if started_at and finished_at:
        # The engine notes a start when its runtime has answered, which may be after the end of a short run.
        started_at = min(started_at, finished_at)
    return Observation(
        handle=handle,
        installation=labels[LABEL_INSTALLATION],
        job_id=job_id,
        attempt=attempt,
        state=status,
        exit_code=state["ExitCode"] if is_over else None,
        reason=_reason(state, started_at) if is_over else None,
        error=state.get("Error") or "",
        created_at=_moment(found["Created"]),
        started_at=started_at,
        finished_at=finished_at,
    )


def observe_listed(item: Mapping[str, Any], dialect: Dialect) -> Observation | None:
    """
    What one item of the engine's list is, if that says all there is to know: of what was not started.

    A closer look at such a container waits for as long as its start takes, should one be under way.
    """
    if dialect.states.get(item["State"]) is not ExecutionState.CREATED or not item["Names"]:
        return None
    handle = Handle(item["Names"][0].removeprefix("/"), item["Id"])
    labels = item["Labels"] or {}
    owner = _owner(handle.name, labels)
    if owner is None:
        return None
    return Observation(
        handle=handle,
        installation=labels[LABEL_INSTALLATION],
        job_id=owner[0],
        attempt=owner[1],
        state=ExecutionState.CREATED,
        created_at=datetime.fromtimestamp(item["Created"], UTC),
    )


def _owner(name: str, labels: Mapping[str, str]) -> tuple[UUID, int] | None:
    """Job and attempt, when labels and name agree: an image may carry labels like ours into any container."""
    try:
        job_id, attempt = UUID(labels[LABEL_JOB]), int(labels[LABEL_ATTEMPT])
        is_ours = name == execution_name(labels[LABEL_INSTALLATION], job_id, attempt)
    except (KeyError, ValueError):
        return None
    return (job_id, attempt) if is_ours else None


def _is_vanishing(state: Mapping[str, Any], started_at: datetime | None) -> bool:
    return state["Status"] in ("removing", "dead") and started_at is None


def _is_recent(text: str) -> bool:
    finished_at = _moment(text)
    return finished_at is None or datetime.now(UTC) - finished_at < SETTLE


def _reason(state: Mapping[str, Any], started_at: datetime | None) -> Outcome | None:
    # The engine's flag also tells of a child that was killed while the job went on and succeeded.
    if state.get("OOMKilled") and state["ExitCode"] != 0:
        return Outcome.OOM
    if started_at is None and state["ExitCode"] in CANNOT_RUN:
        return Outcome.CONFIG_ERROR
    return None


def measured(stats: Mapping[str, Any]) -> Usage:
    """What ``stats``, the engine's of one running container, says; of an ended one they say nothing."""
    memory = stats.get("memory_stats") or {}
    details = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    peak = memory.get("max_usage") or max(0, memory.get("usage", 0) - cache)
    nanoseconds = stats.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
    return Usage(memory_peak_bytes=peak or None, cpu_seconds=nanoseconds / 1_000_000_000 if nanoseconds else None)


def _moment(text: str) -> datetime | None:
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text)
