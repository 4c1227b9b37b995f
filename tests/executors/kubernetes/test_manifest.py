"""What a cluster is told to create, by its version and its host's options."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from container_manager.exceptions import SpecificationError
from container_manager.executors.kubernetes.manifest import Features, job_manifest
from container_manager.executors.kubernetes.options import KubernetesOptions
from container_manager.executors.kubernetes.phases import start_patch
from container_manager.specs import JobSpec

OLD, NEW = Features((1, 20)), Features((1, 34))


def spec(**values: Any) -> JobSpec:
    defaults: dict[str, Any] = {"image": "example/app:1", "command": ("run",), "job_id": UUID(int=7), "attempt": 1}
    return JobSpec(installation="tests", **{**defaults, **values})


def manifest(features: Features = NEW, options: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    return job_manifest(spec(**values), KubernetesOptions.parse(options or {}), features)


def pod(options: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    found: dict[str, Any] = manifest(options=options, **values)["spec"]["template"]["spec"]
    return found


def container(options: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    (found,) = pod(options, **values)["containers"]
    return dict(found)


def test_an_old_server_gets_no_field_that_it_would_drop() -> None:
    job = manifest(OLD)["spec"]
    assert job["parallelism"] == 0
    assert "suspend" not in job
    assert "podReplacementPolicy" not in job
    assert start_patch(is_suspended=OLD.suspend)[-1] == {"op": "add", "path": "/spec/parallelism", "value": 1}


def test_a_new_server_gets_a_suspended_job_whose_pods_are_never_replaced_early() -> None:
    job = manifest(NEW)["spec"]
    assert (job["parallelism"], job["suspend"], job["podReplacementPolicy"]) == (1, True, "Failed")
    assert start_patch(is_suspended=NEW.suspend)[-1] == {"op": "add", "path": "/spec/suspend", "value": False}


@pytest.mark.parametrize(("version", "suspend", "policy"), [
    ((1, 21), False, False), ((1, 22), True, False), ((1, 28), True, False), ((1, 29), True, True),
])  # fmt: skip
def test_each_field_is_sent_from_the_version_on_that_knows_it(
    version: tuple[int, int], suspend: bool, policy: bool
) -> None:
    job = manifest(Features(version))["spec"]
    assert ("suspend" in job, "podReplacementPolicy" in job) == (suspend, policy)


def test_a_job_runs_once_and_the_queue_owns_its_retries() -> None:
    job = manifest()["spec"]
    assert (job["completions"], job["backoffLimit"]) == (1, 0)
    assert job["ttlSecondsAfterFinished"] == 7 * 86_400
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_the_clusters_deadline_is_far_behind_the_workers_own() -> None:
    assert "activeDeadlineSeconds" not in manifest()["spec"]
    assert manifest(timeout_seconds=60)["spec"]["activeDeadlineSeconds"] == 60 + 600 + 3600


def test_by_default_a_program_can_do_little() -> None:
    assert pod()["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True}
    assert pod()["automountServiceAccountToken"] is False
    assert container()["securityContext"] == {
        "privileged": False, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": []},
    }  # fmt: skip
    assert container()["volumeMounts"] == [{"name": "writable-0", "mountPath": "/tmp"}]  # noqa: S108


def test_a_hosts_options_may_loosen_it() -> None:
    options = {"run_as_non_root": False, "read_only": False, "cap_add": ["CHOWN"], "user": "0", "writable_paths": []}
    assert pod(options)["securityContext"]["runAsUser"] == 0
    assert container(options)["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN"]}
    assert pod(options)["volumes"] == []


@pytest.mark.parametrize(("values", "message"), [
    ({"image": ""}, "names no image"),
    ({"network": "backend"}, "has none to choose"),
    ({"user": "postgres"}, "must be numeric"),
    ({"user": "0:0"}, "is root"),
    ({"gpus": "all"}, "must be a number"),
    ({"memory_limit": 4096}, "is above this host's max_memory_limit of 1024 MiB"),
])  # fmt: skip
def test_what_the_policy_or_the_cluster_cannot_give_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        manifest(options={"max_memory_limit": 1024}, **values)


def test_the_program_and_its_environment_are_taken_literally() -> None:
    found = container(command=("echo", "$(HOME) $$ $x"), entrypoint=("sh",), environment={"A": "$(CM_JOB_ID)"})
    assert (found["command"], found["args"]) == (["sh"], ["echo", "$$(HOME) $$$$ $$x"])
    assert {"name": "A", "value": "$$(CM_JOB_ID)"} in found["env"]


def test_a_secret_of_the_hosts_is_a_reference_and_yields_to_the_jobs_own_variable() -> None:
    options = {"secrets": {name: {"secret": "shop", "key": "token"} for name in ("TOKEN", "OTHER")}}
    environment = container(options, environment={"OTHER": "mine"})["env"]
    assert {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "shop", "key": "token"}}} in environment
    assert [one for one in environment if one["name"] == "OTHER"] == [{"name": "OTHER", "value": "mine"}]


def test_requests_stand_beside_limits_and_never_above_them() -> None:
    options = {"memory_request": 100, "cpu_request": 0.25, "default_cpu_limit": 1}
    assert container(options)["resources"] == {
        "limits": {"cpu": "1000m"}, "requests": {"memory": "100Mi", "cpu": "250m"},
    }  # fmt: skip
    assert container(options, memory_limit=64, cpu_limit=0.1)["resources"] == {
        "limits": {"memory": "64Mi", "cpu": "100m"}, "requests": {"memory": "64Mi", "cpu": "100m"},
    }  # fmt: skip


def test_gpus_are_a_limit_of_the_hosts_resource() -> None:
    assert container({"gpu_resource": "amd.com/gpu"}, gpus="2")["resources"]["limits"] == {"amd.com/gpu": "2"}


def test_placement_is_passed_on() -> None:
    options = {
        "service_account": "jobs", "image_pull_secrets": ["registry"], "node_selector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}], "affinity": {"podAntiAffinity": {}}, "priority_class": "low",
        "runtime_class": "gvisor",
    }  # fmt: skip
    found = pod(options)
    assert found["serviceAccountName"] == "jobs"
    assert found["imagePullSecrets"] == [{"name": "registry"}]
    assert (found["nodeSelector"], found["tolerations"]) == ({"disk": "ssd"}, [{"operator": "Exists"}])
    assert (found["affinity"], found["priorityClassName"]) == ({"podAntiAffinity": {}}, "low")
    assert found["runtimeClassName"] == "gvisor"


def test_labels_that_kubernetes_does_not_take_are_kept_as_an_annotation() -> None:
    job = manifest(options={"labels": {"team": "video"}}, user_labels={"note": "two words", "stage": "test"})
    assert job["metadata"]["labels"]["team"] == "video"
    assert job["metadata"]["labels"]["stage"] == "test"
    assert "note" not in job["metadata"]["labels"]
    assert job["metadata"]["annotations"]["container-manager.labels"] == '{"note": "two words"}'


def test_a_users_label_never_overrides_ours() -> None:
    job = manifest(options={"labels": {"a": "host"}}, user_labels={"container-manager.job": "x", "a": "job"})
    assert job["metadata"]["labels"]["container-manager.job"] == str(UUID(int=7))
    assert job["metadata"]["labels"]["a"] == "job"
