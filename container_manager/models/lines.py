"""Why a queued job waits, and in which line: jobs of one line have the same limits."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Case, Value, When
from django.utils import timezone

from container_manager import conf
from container_manager.states import Hold

if TYPE_CHECKING:
    from container_manager.models.job import ContainerJob


def line_of(job: ContainerJob) -> str:
    """
    The line of ``job``; empty = nothing limits it, and it never waits in one.

    A digest, so that no database takes two for one.
    """
    is_limited = (
        job.tenant
        or (job.definition and conf.limit_of("definition", job.definition) is not None)
        or (job.batch_id is not None and job.batch is not None and job.batch.max_running is not None)
    )
    if not is_limited:
        return ""
    parts = [job.queue, job.tenant, job.definition, str(job.batch_id or "")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def hold_for(
    scheduled_for: datetime | None, retry_count: int, max_retries: int, line: str
) -> tuple[Hold, datetime | None]:
    """Why a job with these fields is not ready, and until when."""
    if retry_count >= max_retries:
        return Hold.EXHAUSTED, None
    if scheduled_for is not None and scheduled_for > timezone.now():
        return Hold.SCHEDULE, scheduled_for
    return Hold.LIMIT if line else Hold.NONE, None


def when_due() -> Case:
    """For an UPDATE: the hold of a queued job that nothing of its own keeps waiting any more."""
    return Case(When(line="", then=Value(Hold.NONE)), default=Value(Hold.LIMIT))
