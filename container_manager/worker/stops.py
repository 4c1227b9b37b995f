"""Which of a worker's attempts must end: cancelled, or past their deadline, by the database's clock."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q

from container_manager.models import JobAttempt
from container_manager.sql.clock import DatabaseNow
from container_manager.states import StopReason


def requested_stops(worker: UUID, using: str) -> list[tuple[UUID, str]]:
    """(attempt, reason) for each open attempt of ``worker`` that was cancelled or whose time is up. One query."""
    rows = (
        JobAttempt.objects.using(using)
        .filter(worker=worker, active_job__isnull=False)
        .filter(~Q(stop_requested="") | Q(deadline_at__lte=DatabaseNow()))
        .values_list("pk", "stop_requested")
    )
    return [(attempt_id, requested or StopReason.TIMEOUT) for attempt_id, requested in rows]
