"""How many jobs are in each state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import ACTIVE, Status

MOST: Final = 10_000
"""Counted no further."""
STANDING: Final = (Status.QUEUED, Status.LAUNCHING, Status.RUNNING, Status.PENDING)


@dataclass(frozen=True, slots=True)
class Tile:
    status: Status
    count: int

    @property
    def text(self) -> str:
        return f"{MOST:,}+" if self.count > MOST else f"{self.count:,}"


def tiles(using: str) -> Iterator[Tile]:
    """What stands in the queue now, each count from an index and capped."""
    jobs = JobQuerySet(ContainerJob, using=using)
    for status in STANDING:
        rows = jobs.filter(status=status).order_by().values("pk")
        yield Tile(status, rows.count() if status in ACTIVE else rows[: MOST + 1].count())
