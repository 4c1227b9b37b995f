"""Handlers that write down what they were told, a host of the fake engine, and a worker in the test's own thread."""

from __future__ import annotations

import pytest

from container_manager.models import ExecutorHost


@pytest.fixture(autouse=True)
def no_other_handlers(registrations_of_this_test_alone: None) -> None:
    """What a test registers is gone after it."""


@pytest.fixture
def host(transactional_db: None, host: ExecutorHost) -> ExecutorHost:
    """The worker sees only what is committed."""
    return host
