"""An execution as its Job and its pods tell it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from container_manager.executors.kubernetes.facts import JobFacts, PodFacts
from container_manager.executors.kubernetes.phases import Phase, Verdict
from container_manager.executors.registries import is_refused_for_good
from container_manager.specs import ExecutionState, Handle, Observation
from container_manager.states import Outcome

SETTLE: Final = timedelta(seconds=5)
"""How long after a stop the cluster may still make the pod that it had decided on before."""
A_SECOND: Final = timedelta(microseconds=999_999)
CANNOT_RUN: Final = frozenset({"ContainerCannotRun", "StartError", "CreateContainerError", "RunContainerError"})
IMAGE_WAITS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
                                "ImageInspectError", "RegistryUnavailable"})  # fmt: skip
USUAL_WAITS: Final = frozenset({"Pending", "ContainerCreating", "PodInitializing"})
CONFIG_WAITS: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
HOPELESS_IMAGES: Final = frozenset({"ErrImageNeverPull", "InvalidImageName"})
HOPELESS_CONFIG: Final = re.compile(
    r"not found|couldn't find key|root|no such file|invalid|not a directory|permission denied", re.IGNORECASE
)


def observe_job(job: JobFacts, pods: Sequence[PodFacts], now: datetime) -> Observation:
    """What ``job`` is, at ``now`` by this process' clock. ``error`` says what a running one waits for, if it does."""
    if job.phase is Phase.CREATED:
        return _observation(job, state=ExecutionState.CREATED)
    pod = _last(pods)
    if _is_over(job, pods, now):
        return _ended(job, pod)
    waiting = ": ".join(filter(None, pod.waiting)) if pod and pod.waiting and pod.waiting[0] not in USUAL_WAITS else ""
    return _observation(job, state=ExecutionState.RUNNING, started_at=pod.started_at if pod else None, error=waiting)


def why_hopeless(job: JobFacts, pods: Sequence[PodFacts], now: datetime, patience: timedelta) -> Verdict | None:
    """
    Why ``job`` is to be given up: its pod has a node, and cannot start there, or has not within ``patience``.

    A pod without a node waits for as long as it takes. ``is_transient``: it took too long, and another try may not.
    """
    pod = _last(pods)
    if job.phase is not Phase.STARTED or pod is None or pod.is_over or pod.started_at or not pod.scheduled_at:
        return None
    reason, message = pod.waiting or ("", "")
    text = f"{reason}: {message}" if message else reason
    is_late = now - pod.scheduled_at > patience
    is_hopeless = (
        reason in HOPELESS_IMAGES
        or (reason == "ErrImagePull" and is_refused_for_good(message))
        or (reason in CONFIG_WAITS and bool(HOPELESS_CONFIG.search(message)))
    )
    if not is_hopeless and not is_late:
        return None
    if reason in IMAGE_WAITS:
        return Verdict(Outcome.IMAGE_ERROR, text, is_transient=not is_hopeless)
    if reason in CONFIG_WAITS:
        return Verdict(Outcome.CONFIG_ERROR, text, is_transient=not is_hopeless)
    return Verdict(Outcome.INFRA_ERROR, f"Not started {patience.total_seconds():.0f} s after it got its node: {text}")


def _last(pods: Sequence[PodFacts]) -> PodFacts | None:
    """The pod that tells; more than one only where somebody deleted the first and the cluster made another."""
    return max(pods, key=lambda pod: (not pod.is_over, str(pod.created_at), not pod.is_gone), default=None)


def _is_over(job: JobFacts, pods: Sequence[PodFacts], now: datetime) -> bool:
    if not all(pod.is_over for pod in pods):
        return False
    if job.phase is Phase.STOPPED:
        return bool(pods) or job.stopped_at is None or now - job.stopped_at > SETTLE
    # A pod that is gone may not have been counted, and then another one comes.
    return job.is_finished or any(not pod.is_gone for pod in pods)


def _ended(job: JobFacts, pod: PodFacts | None) -> Observation:
    exit_code = pod.exit_code if pod else None
    if pod is not None and exit_code is not None and job.verdict is None:
        reason, error = _reason(pod)
    else:
        reason, error = _reason_without_code(job, pod)
    finished_at = pod.finished_at if pod else None
    if finished_at and job.phase is Phase.STOPPED:
        # The cluster cuts the second's fraction off: the end came after the stop, not before it.
        finished_at += A_SECOND
    return _observation(
        job, state=ExecutionState.EXITED, reason=reason, error=error, finished_at=finished_at,
        exit_code=0 if exit_code is None and job.is_complete else exit_code,
        is_transient=job.verdict is None or job.verdict.is_transient, started_at=pod.started_at if pod else None,
    )  # fmt: skip


def _reason(pod: PodFacts) -> tuple[Outcome | None, str]:
    reason, message = pod.end
    if reason == "OOMKilled" and pod.exit_code != 0:
        return Outcome.OOM, ""
    if reason in CANNOT_RUN:
        return Outcome.CONFIG_ERROR, message or reason
    if pod.exit_code != 0 and (pod.is_disrupted or pod.reason):
        return _pods_own(pod)
    return None, ""


def _reason_without_code(job: JobFacts, pod: PodFacts | None) -> tuple[Outcome, str]:
    if job.verdict is not None:
        return job.verdict.outcome, job.verdict.error
    if pod is not None and (pod.reason or pod.is_disrupted):
        return _pods_own(pod)
    if job.failure and job.failure[0] == "DeadlineExceeded":
        return Outcome.TIMEOUT, job.failure[1]
    if job.is_complete:
        return Outcome.OK, ""
    return Outcome.LOST, "Its pod is gone, and its exit code was not seen."


def _pods_own(pod: PodFacts) -> tuple[Outcome, str]:
    """What the node or the scheduler did to it: evicted, preempted, shut down, refused."""
    text = ": ".join(filter(None, (pod.reason, pod.message))) or "The cluster ended it: a disruption."
    return (Outcome.TIMEOUT if pod.reason == "DeadlineExceeded" else Outcome.INFRA_ERROR), text


def _observation(job: JobFacts, **values: Any) -> Observation:
    return Observation(
        handle=Handle(job.name, job.uid),
        installation=job.installation,
        job_id=job.job_id,
        attempt=job.attempt,
        created_at=job.created_at,
        **values,
    )
