"""A host in a real cluster: identity and rights, what can never start, and how few requests a look costs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from kubernetes import client, config

from container_manager.exceptions import ConfigurationError
from container_manager.executors.kubernetes import KubernetesExecutor
from container_manager.specs import ExecutionState
from container_manager.states import Outcome
from tests.executors.kubernetes.running import (
    IMAGE,
    host_options,
    kubernetes_executor,
    launch,
    output,
    shell,
    spec,
    wait_for_end,
    wait_until,
)

pytestmark = pytest.mark.kubernetes

MANIFESTS = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"


@pytest.fixture
def api() -> Iterator[client.ApiClient]:
    with config.new_client_from_config(os.environ["KUBECONFIG"]) as one:
        yield one


@pytest.fixture
def namespace(api: client.ApiClient) -> Iterator[str]:
    """A namespace of its own, with a service account ``worker`` that may do nothing."""
    name = f"cm-test-{uuid4().hex[:8]}"
    core: Any = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": name}})
    core.create_namespaced_service_account(name, {"metadata": {"name": "worker"}})
    accounts = lambda: {one.metadata.name for one in core.list_namespaced_service_account(name).items}  # noqa: E731
    wait_until(lambda: {"worker", "default"} <= accounts(), what="the service accounts")  # type: ignore[no-untyped-call]
    yield name
    core.delete_namespace(name)


def options_of_worker(api: client.ApiClient, namespace: str, folder: Path) -> dict[str, Any]:
    """A host's options with the rights of the namespace's service account only."""
    core: Any = client.CoreV1Api(api)
    request = {"spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 3600}}
    token = core.create_namespaced_service_account_token("worker", namespace, request).status.token
    found = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    found["users"] = [{"name": user["name"], "user": {"token": token}} for user in found["users"]]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(found))
    return host_options(kubeconfig=str(path), namespace=namespace)


def test_check_tells_the_cluster_its_version_and_the_namespace() -> None:
    with kubernetes_executor() as executor, kubernetes_executor() as other:
        health = executor.check()
        assert health.engine_id == other.check().engine_id
        assert health.version.startswith("v1.")
        assert health.details == {"namespace": "default"}


def test_a_namespace_that_does_not_exist_is_told() -> None:
    executor = KubernetesExecutor(host_options(namespace="no-such-namespace"), installation="none")
    with pytest.raises(ConfigurationError, match="no namespace 'no-such-namespace'"):
        executor.check()
    executor.close()


def test_missing_rights_are_named_and_the_shipped_role_is_all_that_a_job_needs(
    api: client.ApiClient, namespace: str, tmp_path: Path
) -> None:
    options = options_of_worker(api, namespace, tmp_path)
    executor = KubernetesExecutor(options, installation="rights")
    with pytest.raises(ConfigurationError, match=r"does not allow: create jobs, .*get pods/log"):
        executor.check()

    rules: Any = client.RbacAuthorizationV1Api(api)
    for document in yaml.safe_load_all((MANIFESTS / "rbac.yaml").read_text()):
        if document["kind"] == "Role":
            document["metadata"]["namespace"] = namespace
            rules.create_namespaced_role(namespace, document)
        elif document["kind"] == "RoleBinding":
            document["metadata"]["namespace"] = document["subjects"][0]["namespace"] = namespace
            rules.create_namespaced_role_binding(namespace, document)
    assert executor.check().details == {"namespace": namespace}
    handle = launch(executor, shell(executor, "echo allowed"))
    wait_until(
        lambda: [seen.state for seen in executor.observe()] == [ExecutionState.EXITED], what="the end of the job"
    )
    assert output(executor, handle) == b"allowed\n"
    executor.remove(handle)
    assert executor.observe() == []
    executor.close()


def test_by_default_a_program_writes_to_its_own_paths_only_and_is_not_root() -> None:
    with kubernetes_executor(host_options(user="1000", run_as_non_root=True)) as executor:
        handle = launch(executor, shell(executor, "id -u; touch /x 2>/dev/null || echo no; touch /tmp/x && echo yes"))
        assert wait_for_end(executor, handle).exit_code == 0
        assert output(executor, handle) == b"1000\nno\nyes\n"


@pytest.mark.slow
def test_an_image_whose_user_is_root_is_given_up_with_the_reason() -> None:
    with kubernetes_executor(host_options(run_as_non_root=True)) as executor:
        seen = wait_for_end(executor, launch(executor, shell(executor, "true")))
        assert seen.reason is Outcome.CONFIG_ERROR
        assert "root" in seen.error


def test_a_look_at_all_executions_costs_no_request_however_many_there_are() -> None:
    with kubernetes_executor() as executor:
        handles = [executor.create(spec(executor, image=IMAGE)) for _ in range(60)]
        assert len(executor.observe()) == 60
        # Both watches are open by now, or about to be.
        wait_until(lambda: executor.cluster.requests >= 60 + 5, what="the watches")
        before = executor.cluster.requests
        for _ in range(200):
            assert len(executor.observe()) == 60
        # The watches are opened anew once a minute.
        assert executor.cluster.requests - before <= 6
        for handle in handles:
            executor.remove(handle)
        assert executor.observe() == []


def test_a_watch_tells_what_another_process_does() -> None:
    with kubernetes_executor() as executor:
        assert executor.observe() == []
        other = KubernetesExecutor(host_options(), installation=executor.installation)
        handle = other.create(spec(other))
        wait_until(lambda: [seen.handle.name for seen in executor.observe()] == [handle.name], what="its creation")
        other.remove(handle)
        wait_until(lambda: executor.observe() == [], what="its removal")
        other.close()


def test_the_cluster_accepts_the_manifests() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl here")
    built = subprocess.run(["kubectl", "kustomize", MANIFESTS], check=True, capture_output=True, text=True).stdout
    documents = list(yaml.safe_load_all(built))
    for document in documents:
        if "namespace" in document["metadata"]:
            document["metadata"]["namespace"] = "default"  # a dry run makes no namespace for the others
    command = ["kubectl", "create", "--dry-run=server", "--validate=true", "--output=name", "--filename=-"]
    done = subprocess.run(command, input=yaml.safe_dump_all(documents), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {name.partition("/")[0] for name in done.stdout.split()} >= {"namespace", "deployment.apps", "secret"}
