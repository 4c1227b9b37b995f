"""The testing kit for Django's own test cases."""

from __future__ import annotations

from functools import cached_property

from container_manager.testing.jobs import ContainerJobs


class ContainerJobsMixin:
    """For ``TestCase`` and ``TransactionTestCase``: each test has its own ``self.container_jobs``."""

    @cached_property
    def container_jobs(self) -> ContainerJobs:
        return ContainerJobs()
