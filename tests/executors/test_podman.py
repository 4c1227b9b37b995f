"""The Podman executor passes the contract against a real Podman service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from container_manager.executors import executor_class
from container_manager.executors.docker import PodmanExecutor
from container_manager.testing.end_stream_contract import EndStreamContract
from tests.executors.docker.running import IMAGE, collect_sockets


@pytest.mark.podman
# The SDK leaves a socket to the garbage collector when it cannot connect.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestPodman(EndStreamContract):
    image: ClassVar[str] = IMAGE

    @pytest.fixture(autouse=True)
    def engine(self, tmp_path: Path) -> Iterator[None]:
        self.directory = tmp_path
        yield
        collect_sockets()

    def make_executor(self, installation: str) -> PodmanExecutor:
        return PodmanExecutor({"base_url": os.environ["PODMAN_HOST"], "network": "none"}, installation=installation)

    def make_unreachable_executor(self) -> PodmanExecutor:
        return PodmanExecutor({"base_url": f"unix://{self.directory}/none.sock"}, installation="none")


def test_the_executor_is_registered_as_podman() -> None:
    assert executor_class("podman") is PodmanExecutor
