"""A host of local processes that find this test's database, and a worker in the test's own thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from container_manager.hosts import node_name
from container_manager.models import ExecutorHost
from container_manager.worker import WorkerLoop, WorkerOptions
from tests.processes import ROOT
from tests.task_backend.tasks import SIGNALS

Drain = Callable[[], None]


@pytest.fixture
def signals_file(tmp_path: Path) -> Path:
    return tmp_path / "signals"


@pytest.fixture
def drain(
    transactional_db: None,
    tmp_path: Path,
    signals_file: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Drain:
    """Runs the tasks that were enqueued, each in a process of its own, until none is left."""
    variables = {
        "TEST_DATABASE": settings.TEST_DATABASE,
        "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        SIGNALS: str(signals_file),
        **{name: os.environ[name] for name in os.environ if name.startswith(("PG", "MYSQL_"))},
    }
    monkeypatch.chdir(ROOT)
    settings.TASKS = {
        alias: {**backend, "OPTIONS": {**backend.get("OPTIONS", {}), "environment": variables}}
        for alias, backend in settings.TASKS.items()
    }
    settings.CONTAINER_MANAGER = {
        **settings.CONTAINER_MANAGER,
        "RETRY_POLICIES": {"on_failure": {"rules": [{"retry": True}], "first_delay": 0.05, "longest_delay": 0.1}},
    }
    ExecutorHost.objects.create(
        name="here", executor_type="process", node=node_name(), max_concurrent_jobs=20, queues=["default", "gpu"],
        options={"state_directory": str(tmp_path / "state")},
    )  # fmt: skip

    def run() -> None:
        WorkerLoop(WorkerOptions(drain=True, concurrency=4, poll_interval=0.1)).run()

    return run
