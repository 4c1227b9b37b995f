"""What matters of the cluster's Jobs and pods, taken out of what it says of them: a thousand bytes instead of ten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from container_manager.executors.kubernetes.phases import PHASE, STOPPED_AT, Phase, Verdict
from container_manager.specs import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, LABEL_SPEC, execution_name

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """A Job of ours. ``failure``: reason and message of its end, when it failed."""

    name: str
    uid: str
    version: str
    installation: str
    job_id: UUID
    attempt: int
    digest: str
    phase: Phase
    created_at: datetime | None
    is_complete: bool
    failure: tuple[str, str] | None
    stopped_at: datetime | None
    verdict: Verdict | None

    @property
    def is_finished(self) -> bool:
        """The cluster makes no further pod for it."""
        return self.is_complete or self.failure is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """A pod of a Job of ours. ``waiting``: reason and message, while its container does not run."""

    name: str
    uid: str
    version: str
    owner: str
    phase: str
    reason: str
    message: str
    is_disrupted: bool
    created_at: datetime | None
    scheduled_at: datetime | None
    waiting: tuple[str, str] | None
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    end: tuple[str, str]
    """Reason and message of the container's end."""
    grace_seconds: int
    is_gone: bool = False

    @property
    def is_over(self) -> bool:
        return self.is_gone or self.phase in ("Succeeded", "Failed")


def job_facts(found: Object) -> JobFacts | None:
    """``None`` for what is no execution of ours: labels, name and phase must agree."""
    metadata = found["metadata"]
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    try:
        installation, job_id, attempt = labels[LABEL_INSTALLATION], UUID(labels[LABEL_JOB]), int(labels[LABEL_ATTEMPT])
        phase = Phase(notes[PHASE])
    except (KeyError, ValueError):
        return None
    if metadata["name"] != execution_name(installation, job_id, attempt):
        return None
    conditions = _true_conditions(found)
    failed = conditions.get("Failed")
    return JobFacts(
        name=metadata["name"],
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        installation=installation,
        job_id=job_id,
        attempt=attempt,
        digest=labels.get(LABEL_SPEC, ""),
        phase=phase,
        created_at=_moment(metadata.get("creationTimestamp")),
        is_complete="Complete" in conditions,
        failure=_words(failed) if failed else None,
        stopped_at=_moment(notes.get(STOPPED_AT)),
        verdict=Verdict.from_notes(notes),
    )


def pod_facts(found: Object) -> PodFacts | None:
    """``None`` for a pod that no Job owns."""
    metadata, status = found["metadata"], found.get("status") or {}
    owner = next((one["uid"] for one in metadata.get("ownerReferences") or () if one.get("kind") == "Job"), None)
    if owner is None:
        return None
    container: Object = next(iter(status.get("containerStatuses") or ()), {})
    state = container.get("state") or {}
    running, terminated = state.get("running") or {}, state.get("terminated") or {}
    conditions = _true_conditions(found)
    scheduled = conditions.get("PodScheduled")
    return PodFacts(
        name=metadata["name"],
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        owner=owner,
        phase=status.get("phase", ""),
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        is_disrupted="DisruptionTarget" in conditions,
        created_at=_moment(metadata.get("creationTimestamp")),
        scheduled_at=_moment(scheduled.get("lastTransitionTime")) if scheduled else None,
        waiting=_waiting(found, state, is_scheduled=scheduled is not None),
        started_at=_moment(running.get("startedAt") or terminated.get("startedAt")),
        finished_at=_moment(terminated.get("finishedAt")),
        exit_code=terminated.get("exitCode"),
        end=_words(terminated),
        grace_seconds=found["spec"].get("terminationGracePeriodSeconds") or 0,
    )


def _waiting(found: Object, state: Object, *, is_scheduled: bool) -> tuple[str, str] | None:
    if "waiting" in state:
        return _words(state["waiting"])
    if is_scheduled or state:
        return None
    conditions = (found.get("status") or {}).get("conditions") or ()
    refused = next((one for one in conditions if one["type"] == "PodScheduled"), None)
    return _words(refused) if refused else ("Pending", "")


def _true_conditions(found: Object) -> dict[str, Object]:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return {one["type"]: one for one in conditions if one.get("status") == "True"}


def _words(said: Object) -> tuple[str, str]:
    return said.get("reason") or "", said.get("message") or ""


def _moment(text: str | None) -> datetime | None:
    # A container that never ran has the year 1 or 1970.
    if not text or text.startswith(("0001-", "1970-")):
        return None
    return datetime.fromisoformat(text)
