"""A host of the fake engine, and a worker that runs in the test's own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from container_manager.executors.fake import FakeEngine, engine
from container_manager.models import ExecutorHost
from container_manager.worker import WorkerLoop, WorkerOptions


@pytest.fixture
def fake_engine() -> Iterator[FakeEngine]:
    fake = engine("worker-tests")
    fake.reset()
    yield fake
    fake.reset()


@pytest.fixture
def fake_host(transactional_db: None, fake_engine: FakeEngine) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="fake", executor_type="fake", options={"engine": fake_engine.name}, max_concurrent_jobs=100
    )


@pytest.fixture
def drain() -> Callable[..., WorkerLoop]:
    """Runs a worker until nothing is left."""

    def run(**options: Any) -> WorkerLoop:
        loop = WorkerLoop(WorkerOptions(**{"drain": True, "concurrency": 100, "poll_interval": 0.1, **options}))
        loop.run()
        return loop

    return run
