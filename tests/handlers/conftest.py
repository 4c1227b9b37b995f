"""Handlers that write down what they were told, a host of the fake engine, and a worker in the test's own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from container_manager.executors.fake import FakeEngine, engine
from container_manager.handlers import registry
from container_manager.models import ExecutorHost
from container_manager.worker import WorkerLoop, WorkerOptions


@pytest.fixture(autouse=True)
def no_other_handlers() -> Iterator[None]:
    """What a test registers is gone after it."""
    functions, rules = dict(registry._functions), {event: list(known) for event, known in registry._rules.items()}
    yield
    registry._functions.clear()
    registry._functions.update(functions)
    registry._rules.clear()
    registry._rules.update(rules)


@pytest.fixture
def fake_engine() -> Iterator[FakeEngine]:
    fake = engine("handler-tests")
    fake.reset()
    yield fake
    fake.reset()


@pytest.fixture
def host(transactional_db: None, fake_engine: FakeEngine) -> ExecutorHost:
    return ExecutorHost.objects.create(
        name="fake", executor_type="fake", options={"engine": fake_engine.name}, max_concurrent_jobs=100
    )


@pytest.fixture
def drain() -> Callable[[], None]:
    """A worker works until nothing is left to do, handlers included."""

    def run() -> None:
        WorkerLoop(WorkerOptions(drain=True, concurrency=100, poll_interval=0.05)).run()

    return run
