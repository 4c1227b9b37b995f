"""The pytest plugin, found by its entry point: the fixture ``container_jobs``, see ``testing.ContainerJobs``."""

from __future__ import annotations

import pytest

from container_manager import testing


class _WithPytestDjango:
    @pytest.fixture
    def container_jobs(self, db: None) -> testing.ContainerJobs:
        """Container jobs with scripted ends, in the test's transaction, or with ``transactional_db`` without one."""
        return testing.ContainerJobs()


class _Alone:
    @pytest.fixture
    def container_jobs(self) -> testing.ContainerJobs:
        """Container jobs with scripted ends; the test sees to its database itself."""
        return testing.ContainerJobs()


def pytest_configure(config: pytest.Config) -> None:
    # Asked for in time: pytest-django makes only those databases that the collected tests are seen to need.
    has_django = config.pluginmanager.hasplugin("django")
    config.pluginmanager.register(_WithPytestDjango() if has_django else _Alone(), "container_jobs")
