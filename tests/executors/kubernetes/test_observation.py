"""What Jobs and pods mean: every way in which a cluster tells of an end, or of waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from container_manager.executors.kubernetes.facts import JobFacts, PodFacts, job_facts, pod_facts
from container_manager.executors.kubernetes.observation import observe_job, why_hopeless
from container_manager.executors.kubernetes.phases import PHASE, STOPPED_AT, Verdict
from container_manager.specs import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, ExecutionState, Observation
from container_manager.states import Outcome

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENCE = timedelta(minutes=10)
RUNNING, EXITED = ExecutionState.RUNNING, ExecutionState.EXITED


def at(seconds: int) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(phase: str = "started", *conditions: dict[str, Any], notes: dict[str, str] | None = None) -> JobFacts:
    found = job_facts({
        "metadata": {
            "name": f"cm-tests-{UUID(int=7).hex}-1", "uid": "job", "resourceVersion": "1",
            "creationTimestamp": at(-60), "annotations": {PHASE: phase, **(notes or {})},
            "labels": {LABEL_INSTALLATION: "tests", LABEL_JOB: str(UUID(int=7)), LABEL_ATTEMPT: "1"},
        },
        "status": {"conditions": [{"status": "True", **condition} for condition in conditions]},
    })  # fmt: skip
    assert found is not None
    return found


def pod(phase: str, *, state: dict[str, Any] | None = None, scheduled: int | None = -50, **status: Any) -> PodFacts:
    conditions = list(status.pop("conditions", ()))
    if scheduled is not None:
        conditions.append({"type": "PodScheduled", "status": "True", "lastTransitionTime": at(scheduled)})
    found = pod_facts({
        "metadata": {
            "name": "pod", "uid": "pod", "resourceVersion": "1", "creationTimestamp": at(-55),
            "ownerReferences": [{"kind": "Job", "uid": "job"}],
        },
        "spec": {"terminationGracePeriodSeconds": 10},
        "status": {
            "phase": phase, "conditions": conditions, **status,
            **({"containerStatuses": [{"state": state}]} if state else {}),
        },
    })  # fmt: skip
    assert found is not None
    return found


def ended(code: int, reason: str = "Error", phase: str = "Failed", message: str = "", **status: Any) -> PodFacts:
    state = {"exitCode": code, "reason": reason, "message": message, "startedAt": at(-40), "finishedAt": at(-10)}
    return pod(phase, state={"terminated": state}, **status)


def gone(one: PodFacts) -> PodFacts:
    return PodFacts(**{name: getattr(one, name) for name in PodFacts.__slots__} | {"is_gone": True})


def see(one: JobFacts, *pods: PodFacts) -> Observation:
    return observe_job(one, pods, NOW)


def test_before_its_start_an_execution_is_created() -> None:
    assert see(job("created")).state is ExecutionState.CREATED


@pytest.mark.parametrize(("found", "code", "reason", "error"), [
    (ended(0, "Completed", "Succeeded"), 0, None, ""),
    (ended(3), 3, None, ""),
    (ended(137), 137, None, ""),
    (ended(137, "OOMKilled"), 137, Outcome.OOM, ""),
    (ended(0, "OOMKilled", "Succeeded"), 0, None, ""),
    (ended(127, "ContainerCannotRun", message="no such file"), 127, Outcome.CONFIG_ERROR, "no such file"),
    (ended(128, "StartError", message="exec: not found"), 128, Outcome.CONFIG_ERROR, "exec: not found"),
    (ended(137, reason="Error", message="", conditions=[{"type": "DisruptionTarget", "status": "True"}]), 137,
     Outcome.INFRA_ERROR, "The cluster ended it: a disruption."),
])  # fmt: skip
def test_a_pod_that_ended_tells_how(found: PodFacts, code: int, reason: Outcome | None, error: str) -> None:
    seen = see(job(), found)
    assert (seen.state, seen.exit_code, seen.reason, seen.error) == (EXITED, code, reason, error)
    assert (seen.started_at, seen.finished_at) == (NOW - timedelta(seconds=40), NOW - timedelta(seconds=10))


@pytest.mark.parametrize(("reason", "outcome"), [
    ("Evicted", Outcome.INFRA_ERROR), ("Preempting", Outcome.INFRA_ERROR), ("NodeLost", Outcome.INFRA_ERROR),
    ("Terminated", Outcome.INFRA_ERROR), ("UnexpectedAdmissionError", Outcome.INFRA_ERROR),
    ("OutOfcpu", Outcome.INFRA_ERROR), ("DeadlineExceeded", Outcome.TIMEOUT),
])  # fmt: skip
def test_what_a_node_did_to_a_pod_is_not_the_programs_fault(reason: str, outcome: Outcome) -> None:
    seen = see(job(), pod("Failed", reason=reason, message="The node was low on resource: memory."))
    assert (seen.state, seen.reason) == (EXITED, outcome)
    assert seen.error == f"{reason}: The node was low on resource: memory."


def test_until_its_pod_comes_a_started_execution_runs() -> None:
    assert see(job()).state is RUNNING


@pytest.mark.parametrize("found", [
    pod("Pending"), pod("Running", state={"running": {"startedAt": at(-5)}}), pod("Unknown", reason="NodeLost"),
], ids=["pending", "running", "unknown"])  # fmt: skip
def test_a_pod_that_has_not_ended_runs(found: PodFacts) -> None:
    assert see(job(), found).state is RUNNING


def test_an_unschedulable_pod_waits_with_its_reason_shown_for_as_long_as_it_takes() -> None:
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: cpu."}
    found = pod("Pending", scheduled=None, conditions=[refused])
    seen = see(job(), found)
    assert (seen.state, seen.error) == (RUNNING, "Unschedulable: 0/3 nodes: cpu.")
    assert why_hopeless(job(), [found], NOW + timedelta(days=3), PATIENCE) is None


@pytest.mark.parametrize(("reason", "message", "outcome"), [
    ("ErrImageNeverPull", "not present with pull policy of Never", Outcome.IMAGE_ERROR),
    ("InvalidImageName", "invalid reference format", Outcome.IMAGE_ERROR),
    ("ErrImagePull", "manifest for x:y not found", Outcome.IMAGE_ERROR),
    ("ErrImagePull", "pull access denied for x", Outcome.IMAGE_ERROR),
    ("CreateContainerConfigError", 'secret "shop" not found', Outcome.CONFIG_ERROR),
    ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root", Outcome.CONFIG_ERROR),
])  # fmt: skip
def test_what_can_never_start_is_given_up_at_once(reason: str, message: str, outcome: Outcome) -> None:
    found = pod("Pending", state={"waiting": {"reason": reason, "message": message}})
    assert why_hopeless(job(), [found], NOW, PATIENCE) == Verdict(outcome, f"{reason}: {message}", is_transient=False)
    assert see(job(), found).state is RUNNING, "until its pod is gone"


@pytest.mark.parametrize(("reason", "message", "outcome"), [
    ("ErrImagePull", "dial tcp: i/o timeout", Outcome.IMAGE_ERROR),
    ("ErrImagePull", "toomanyrequests: denied for now", Outcome.IMAGE_ERROR),
    ("ImagePullBackOff", 'Back-off pulling image "x"', Outcome.IMAGE_ERROR),
    ("CreateContainerConfigError", "failed to sync secret cache: timed out", Outcome.CONFIG_ERROR),
    ("ContainerCreating", "", Outcome.INFRA_ERROR),
])  # fmt: skip
def test_what_may_pass_is_given_up_after_the_start_timeout(reason: str, message: str, outcome: Outcome) -> None:
    found = pod("Pending", state={"waiting": {"reason": reason, "message": message}})
    assert why_hopeless(job(), [found], NOW, PATIENCE) is None
    verdict = why_hopeless(job(), [found], NOW + PATIENCE, PATIENCE)
    assert verdict is not None
    assert (verdict.outcome, verdict.is_transient) == (outcome, True)
    assert reason in verdict.error


def test_what_has_begun_is_never_given_up() -> None:
    found = pod("Running", state={"running": {"startedAt": at(-5)}})
    assert why_hopeless(job(), [found], NOW + timedelta(days=3), PATIENCE) is None


def stopped(seconds_ago: int = 60, notes: dict[str, str] | None = None) -> JobFacts:
    return job("stopped", notes={STOPPED_AT: at(-seconds_ago), **(notes or {})})


def test_a_stopped_execution_runs_until_its_pod_has_ended() -> None:
    assert see(stopped(), pod("Running", state={"running": {"startedAt": at(-5)}})).state is RUNNING
    assert see(stopped(), ended(143)).exit_code == 143


def test_the_end_of_a_stopped_one_is_after_the_stop_though_the_cluster_cuts_fractions_off() -> None:
    finished_at = see(stopped(), ended(143)).finished_at
    assert finished_at is not None
    assert timedelta(0) < finished_at - (NOW - timedelta(seconds=10)) < timedelta(seconds=1)


def test_a_stop_before_the_pod_waits_for_the_pod_that_may_still_come() -> None:
    assert see(stopped(seconds_ago=1)).state is RUNNING
    assert (see(stopped()).state, see(stopped()).reason) == (EXITED, Outcome.LOST)


def test_what_was_given_up_says_why() -> None:
    notes = {"container-manager.outcome": "image_error", "container-manager.error": "ErrImagePull: not found"}
    seen = see(stopped(notes=notes), gone(pod("Pending")))
    assert (seen.state, seen.exit_code) == (EXITED, None)
    assert (seen.reason, seen.error, seen.is_transient) == (Outcome.IMAGE_ERROR, "ErrImagePull: not found", True)


@pytest.mark.parametrize("is_transient", [True, False])
def test_whether_another_try_can_help_is_kept_on_the_job(is_transient: bool) -> None:
    verdict = Verdict(Outcome.IMAGE_ERROR, "ErrImageNeverPull", is_transient=is_transient)
    seen = see(stopped(notes=verdict.notes()), gone(pod("Pending")))
    assert (seen.reason, seen.error, seen.is_transient) == (Outcome.IMAGE_ERROR, "ErrImageNeverPull", is_transient)


def test_a_pod_that_somebody_deleted_counts_only_when_no_other_comes() -> None:
    lost = gone(pod("Running", state={"running": {"startedAt": at(-5)}}))
    assert see(job(), lost).state is RUNNING
    failed = job("started", {"type": "Failed", "reason": "BackoffLimitExceeded"})
    assert (see(failed, lost).state, see(failed, lost).reason) == (EXITED, Outcome.LOST)


def test_of_two_pods_the_one_that_runs_counts() -> None:
    replacement = pod("Running", state={"running": {"startedAt": at(-5)}})
    assert see(job(), gone(ended(137)), replacement).state is RUNNING


@pytest.mark.parametrize(("condition", "code", "reason"), [
    ({"type": "Complete"}, 0, Outcome.OK),
    ({"type": "Failed", "reason": "DeadlineExceeded"}, None, Outcome.TIMEOUT),
    ({"type": "Failed", "reason": "BackoffLimitExceeded"}, None, Outcome.LOST),
])  # fmt: skip
def test_without_a_pod_the_job_tells(condition: dict[str, Any], code: int | None, reason: Outcome) -> None:
    seen = see(job("started", condition))
    assert (seen.state, seen.exit_code, seen.reason) == (EXITED, code, reason)


def test_what_only_looks_like_ours_is_none() -> None:
    found = {
        "metadata": {
            "name": "stranger", "uid": "1", "resourceVersion": "1", "annotations": {PHASE: "created"},
            "labels": {LABEL_INSTALLATION: "tests", LABEL_JOB: str(UUID(int=7)), LABEL_ATTEMPT: "1"},
        }
    }  # fmt: skip
    assert job_facts(found) is None
    assert pod_facts({"metadata": {"name": "p", "uid": "1"}, "spec": {}}) is None
