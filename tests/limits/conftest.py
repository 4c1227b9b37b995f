"""A host of the fake engine, workers in the test's own thread, and jobs in their hands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from uuid_utils.compat import uuid7

from container_manager import lanes, turns
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.queue import queue_manager


@pytest.fixture(autouse=True)
def counts_are_right_in_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did, no counter contradicts the jobs."""
    request.getfixturevalue("db" if not request.node.get_closest_marker("races") else "transactional_db")
    yield
    turns.admit("default")
    assert lanes.discrepancies("default") == []


class Hands:
    """One who does what a worker does: look whose turn it is, claim one job, end it."""

    def __init__(self, host: ExecutorHost) -> None:
        self.host, self.worker = host, uuid7()

    def take(self, limit: int = 1, queue: str = "default") -> list[ContainerJob]:
        turns.admit("default")
        return [claim.job for claim in queue_manager.claim(self.host, self.worker, queue=queue, limit=limit)]

    def end(self, job: ContainerJob) -> None:
        job = ContainerJob.objects.get(pk=job.pk)
        if job.status == "launching":
            job.transition_to("running")
        job.mark_as_completed()


@pytest.fixture
def hands(host: ExecutorHost) -> Hands:
    return Hands(host)
