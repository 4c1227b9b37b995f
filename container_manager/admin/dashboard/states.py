"""How many jobs are in each state: what stands now, and what ended in the last 24 hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.utils.translation import gettext as _

from container_manager import wording
from container_manager.admin.dashboard.history import hourly
from container_manager.admin.dashboard.sparkline import Sparkline
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import ACTIVE, Status

MOST: Final = 10_000
"""Counted no further."""
STANDING: Final = (Status.QUEUED, Status.LAUNCHING, Status.RUNNING, Status.PENDING)
ENDED: Final = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


@dataclass(frozen=True, slots=True)
class Tile:
    """One number. ``note`` says of what, ``line`` how it came about."""

    status: Status
    text: str
    query: str
    """Of the list of these jobs."""
    note: str = ""
    line: Sparkline | None = None


def capped(count: int) -> str:
    return f"{MOST:,}+" if count > MOST else f"{count:,}"


def tiles(using: str, now: datetime) -> Iterator[Tile]:
    """What stands is counted from an index, and no further than ``MOST``; what ended comes from the rollups."""
    jobs = JobQuerySet(ContainerJob, using=using)
    for status in STANDING:
        rows = jobs.filter(status=status).order_by().values("pk")
        count = rows.count() if status in ACTIVE else rows[: MOST + 1].count()
        yield Tile(status, capped(count), urlencode({"status": status}), _held(jobs) if status == Status.QUEUED else "")
    ended = hourly(using, now)
    since = wording.iso(now - timedelta(hours=24))
    for status in ENDED:
        counts = ended[status.value]
        text = _("%(status)s by the hour, the last: %(count)d") % {"status": status.label, "count": counts[-1]}
        query = urlencode({"status": status, "finished_after": since})
        yield Tile(status, f"{sum(counts):,}", query, _("in 24 h"), Sparkline.of(counts, text))


def _held(jobs: JobQuerySet) -> str:
    """Those that wait for a moment: scheduled, or between two tries."""
    count = jobs.filter(hold_until__isnull=False).order_by().values("pk")[: MOST + 1].count()
    return _("%(count)s for later") % {"count": capped(count)} if count else ""
