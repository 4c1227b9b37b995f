"""The Docker executor passes the contract against a real engine. ``tests/executors/docker`` has what is its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from container_manager.executors import executor_class
from container_manager.executors.docker import DockerExecutor
from container_manager.testing.end_stream_contract import EndStreamContract
from tests.executors.docker.running import ADDRESS, IMAGE, collect_sockets


@pytest.mark.docker
# The SDK leaves a socket to the garbage collector when it cannot connect.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestDocker(EndStreamContract):
    image: ClassVar[str] = IMAGE

    @pytest.fixture(autouse=True)
    def engine(self, tmp_path: Path) -> Iterator[None]:
        self.directory = tmp_path
        yield
        collect_sockets()

    def make_executor(self, installation: str) -> DockerExecutor:
        return DockerExecutor({"base_url": ADDRESS, "network": "none"}, installation=installation)

    def make_unreachable_executor(self) -> DockerExecutor:
        return DockerExecutor({"base_url": f"unix://{self.directory}/none.sock"}, installation="none")


def test_the_executor_is_registered_as_docker() -> None:
    assert executor_class("docker") is DockerExecutor
