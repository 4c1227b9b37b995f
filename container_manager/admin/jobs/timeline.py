"""A job's life as steps, each with how long it took to get there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from container_manager.models import ContainerJob
from container_manager.states import TERMINAL, Status


@dataclass(frozen=True, slots=True)
class Step:
    """``seconds`` since the step before; ``is_open``: they are still running."""

    label: str
    tone: str
    at: datetime | None
    seconds: float | None = None
    is_open: bool = False


def timeline(job: ContainerJob) -> Iterator[Step]:
    """From created to finished; what has not happened yet is not shown, what goes on is open."""
    moments = [
        (_("Created"), Status.PENDING, job.created_at),
        (_("Queued"), Status.QUEUED, job.queued_at),
        (_("Launched"), Status.LAUNCHING, job.launched_at),
        (_("Started"), Status.RUNNING, job.started_at),
        (str(Status(job.status).label), Status(job.status), job.finished_at if job.status in TERMINAL else None),
    ]
    before: datetime | None = None
    for label, tone, at in moments:
        if at is None:
            continue
        # The engine's clock and the database's may differ by a little.
        yield Step(label, tone.value, at, None if before is None else max(0.0, (at - before).total_seconds()))
        before = at
    if job.status not in TERMINAL and before is not None:
        now = {
            Status.PENDING: _("Not queued"), Status.QUEUED: _("Waiting"), Status.LAUNCHING: _("Being launched"),
            Status.RUNNING: _("Running"),
        }  # fmt: skip
        elapsed = max(0.0, (timezone.now() - before).total_seconds())
        yield Step(now[Status(job.status)], job.status, None, elapsed, is_open=True)
