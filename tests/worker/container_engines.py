"""The container engines that a worker is tested on: how to reach each, and what is left there of this database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from docker import APIClient

from container_manager.models import ExecutorHost, Installation
from container_manager.specs import LABEL_INSTALLATION
from tests.executors.docker.running import ADDRESS


@dataclass(frozen=True)
class ContainerEngine:
    executor_type: str
    address: str

    @property
    def options(self) -> dict[str, Any]:
        return {"base_url": self.address, "network": "none"}

    def containers(self) -> list[str]:
        """Names of all containers of this database, ended ones too."""
        label = f"{LABEL_INSTALLATION}={Installation.current('default').identifier}"
        with APIClient(self.address, timeout=60) as client:
            return [found["Names"][0] for found in client.containers(all=True, filters={"label": label})]

    @contextmanager
    def host(self, **values: Any) -> Iterator[ExecutorHost]:
        """A host of this engine; nothing of this database is left on it afterwards."""
        defaults = {
            "name": self.executor_type, "executor_type": self.executor_type, "options": self.options,
            "max_concurrent_jobs": 20,
        }  # fmt: skip
        yield ExecutorHost.objects.create(**{**defaults, **values})
        left = self.containers()
        with APIClient(self.address, timeout=60) as client:
            for name in left:
                client.remove_container(name, force=True, v=True)


DOCKER: Final = ContainerEngine("docker", ADDRESS)
PODMAN: Final = ContainerEngine("podman", os.environ.get("PODMAN_HOST", ""))
EVERY_ENGINE: Final = (
    pytest.param(DOCKER, id="docker", marks=pytest.mark.docker),
    pytest.param(PODMAN, id="podman", marks=pytest.mark.podman),
)
