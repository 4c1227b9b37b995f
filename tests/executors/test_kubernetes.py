"""The Kubernetes executor passes the contract against a real cluster. ``tests/executors/kubernetes`` has its own."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from container_manager.executors import executor_class
from container_manager.executors.kubernetes import KubernetesExecutor
from container_manager.testing.executor_contract import ExecutorContract
from tests.executors.kubernetes.running import IMAGE, host_options

UNREACHABLE = """
apiVersion: v1
kind: Config
current-context: none
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
users: [{name: none, user: {token: none}}]
"""


@pytest.mark.kubernetes
class TestKubernetes(ExecutorContract):
    image: ClassVar[str] = IMAGE
    tells_streams_apart: ClassVar[bool] = False
    rounds: ClassVar[int] = 4
    patience_seconds: ClassVar[float] = 150.0

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def make_executor(self, installation: str) -> KubernetesExecutor:
        return KubernetesExecutor(host_options(), installation=installation)

    def make_unreachable_executor(self) -> KubernetesExecutor:
        path = self.directory / "kubeconfig"
        path.write_text(UNREACHABLE)
        return KubernetesExecutor({"kubeconfig": str(path)}, installation="none")


def test_the_executor_is_registered_as_kubernetes() -> None:
    assert executor_class("kubernetes") is KubernetesExecutor
