"""What a page defines is gone after its test; its files are in a folder of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from container_manager.hosts import node_name
from container_manager.models import ExecutorHost


@pytest.fixture(autouse=True)
def nothing_outlives_its_test(registrations_of_this_test_alone: None, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def process_host(transactional_db: None, tmp_path: Path) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="process", executor_type="process", node=node_name(), options={"state_directory": str(tmp_path / "state")}
    )
