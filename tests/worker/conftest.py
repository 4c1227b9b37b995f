"""The worker sees only what is committed."""

from __future__ import annotations

import pytest

from container_manager.models import ExecutorHost


@pytest.fixture
def fake_host(transactional_db: None, host: ExecutorHost) -> ExecutorHost:
    return host
