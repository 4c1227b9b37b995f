"""The kit's fixture, whether or not the plugin is installed; storages in memory."""

from __future__ import annotations

from typing import Any

import pytest

from container_manager.testing import ContainerJobs
from tests.testing_kit import told
from tests.video.container_jobs import PLANTED


@pytest.fixture
def container_jobs(db: None) -> ContainerJobs:
    return ContainerJobs()


@pytest.fixture(autouse=True)
def nothing_outlives_its_test(
    registrations_of_this_test_alone: None, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """Definitions and handlers of a test are gone after it; the secret of ``Transcode`` is set."""
    monkeypatch.setenv("ACME_TOKEN", PLANTED)
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    told.told.clear()
