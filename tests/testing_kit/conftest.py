"""The kit's fixture, whether or not the plugin is installed; storages in memory."""

from __future__ import annotations

from typing import Any

import pytest

from container_manager import registry
from container_manager.handlers import registry as handlers
from container_manager.testing import ContainerJobs
from tests.testing_kit import told
from tests.video.container_jobs import PLANTED


@pytest.fixture
def container_jobs(db: None) -> ContainerJobs:
    return ContainerJobs()


@pytest.fixture(autouse=True)
def nothing_outlives_its_test(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Definitions and handlers of a test are gone after it; the secret of ``Transcode`` is set."""
    monkeypatch.setattr(registry, "_definitions", registry.all_definitions())
    monkeypatch.setattr(handlers, "_functions", dict(handlers._functions))
    monkeypatch.setattr(handlers, "_rules", {event: list(known) for event, known in handlers._rules.items()})
    monkeypatch.setenv("ACME_TOKEN", PLANTED)
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    told.told.clear()
