"""What a page defines is gone after its test; its files are in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from container_manager import registry
from container_manager.handlers import registry as handlers
from container_manager.hosts import node_name
from container_manager.models import ExecutorHost
from tests.processes import wait_until
from tests.worker.container_engines import DOCKER


@pytest.fixture(autouse=True)
def nothing_outlives_its_test(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "_definitions", registry.all_definitions())
    monkeypatch.setattr(handlers, "_functions", dict(handlers._functions))
    monkeypatch.setattr(handlers, "_rules", {event: list(known) for event, known in handlers._rules.items()})
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def process_host(transactional_db: None, tmp_path: Path) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="process", executor_type="process", node=node_name(), options={"state_directory": str(tmp_path / "state")}
    )


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def engine_host(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[None]:
    if request.param == "process":
        request.getfixturevalue("process_host")
        yield
        return
    with DOCKER.host():
        yield
        wait_until(lambda: not DOCKER.containers())
