"""A host of the fake engine for tests of the queue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from container_manager.executors.fake import FakeEngine, engine
from container_manager.models import ExecutorHost


@pytest.fixture
def fake_engine() -> Iterator[FakeEngine]:
    fake = engine("queue-tests")
    fake.reset()
    yield fake
    fake.reset()


@pytest.fixture
def host(db: None, fake_engine: FakeEngine) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="fake", executor_type="fake", options={"engine": fake_engine.name}, max_concurrent_jobs=50
    )
