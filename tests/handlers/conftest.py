"""Handlers that write down what they were told, a host of the fake engine, and a worker in the test's own thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from container_manager.handlers import registry
from container_manager.models import ExecutorHost


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
def host(transactional_db: None, host: ExecutorHost) -> ExecutorHost:
    """The worker sees only what is committed."""
    return host
