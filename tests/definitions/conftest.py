"""A media folder of the test's own, definitions that do not outlive it, and a worker in its thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from container_manager.hosts import node_name
from container_manager.models import ExecutorHost
from tests.video.container_jobs import PLANTED


@pytest.fixture(autouse=True)
def definitions_of_this_test_alone(registrations_of_this_test_alone: None) -> None:
    """No test of them leaves one behind."""


@pytest.fixture
def media(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the default storage keeps its files; the secret of ``Transcode`` is set too."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    monkeypatch.setenv("ACME_TOKEN", PLANTED)
    return tmp_path / "media"


@pytest.fixture
def process_host(transactional_db: None, tmp_path: Path) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="process", executor_type="process", node=node_name(), queues=["default", "media"],
        options={"state_directory": str(tmp_path / "state")},
    )  # fmt: skip


@pytest.fixture
def fake_host(transactional_db: None, host: ExecutorHost) -> ExecutorHost:
    host.queues = ["default", "media"]
    host.save()
    return host
