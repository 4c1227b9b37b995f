from __future__ import annotations

from collections.abc import Iterator

import pytest

from container_manager.executors.docker import DockerExecutor
from tests.executors.docker.running import docker_executor


@pytest.fixture
def executor() -> Iterator[DockerExecutor]:
    """An executor with a Docker host's defaults."""
    with docker_executor() as one:
        yield one
