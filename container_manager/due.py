"""Queued jobs whose moment has come: held ones are ready, and those that may wait no longer have failed."""

from __future__ import annotations

from typing import Final

from container_manager import lifecycle
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.models.lines import when_due
from container_manager.sql.clock import DatabaseNow
from container_manager.states import Outcome, Status, Verb
from container_manager.wakeup import ARRIVALS, notify

AT_ONCE: Final = 500


def held(using: str) -> JobQuerySet:
    """Jobs that are held until a moment: only queued ones are. Asked by that alone, their index has them in order."""
    return JobQuerySet(ContainerJob, using=using).filter(hold_until__isnull=False)


def expiring(using: str) -> JobQuerySet:
    """Jobs that may not wait for ever; only queued ones are, and asked as above."""
    return JobQuerySet(ContainerJob, using=using).filter(expires_at__isnull=False)


def promote(using: str, limit: int = AT_ONCE) -> int:
    """Held jobs whose time has come, at most ``limit``, are ready; returns how many. Safe with many workers."""
    due = held(using).filter(hold_until__lte=DatabaseNow(), status=Status.QUEUED)
    rows = dict(due.order_by("hold_until", "id").values_list("pk", "queue")[:limit])
    if not rows:
        return 0
    count = due.filter(pk__in=rows).update(hold=when_due(), hold_until=None, hold_reason="")
    notify(using, ARRIVALS, set(rows.values()))
    return count


def expire(using: str, limit: int = AT_ONCE) -> int:
    """Queued jobs that have waited longer than ``queue_timeout_seconds`` have FAILED, outcome ``timeout``; how many."""
    # Only queued jobs are among them, and to ask that too misleads a planner: it expects few of them to be.
    due = expiring(using).filter(expires_at__lte=DatabaseNow()).order_by("expires_at", "id")
    rows = list(due.values_list("pk", "attempt", "expires_at")[:limit])
    if not rows:
        return 0
    message = "It was not claimed within queue_timeout_seconds."
    # No later than the last of these: a database that looks for them by this index reads no more than them.
    moved = lifecycle.transition(
        TABLES, using, [Subject(pk, attempt) for pk, attempt, _ in rows],
        to=Status.FAILED, verb=Verb.FAIL, guard={"expires_at__lte": rows[-1][2]}, sources=[Status.QUEUED],
        values={"outcome": Outcome.TIMEOUT, "error": message}, message=message,
    )  # fmt: skip
    return len(moved)
