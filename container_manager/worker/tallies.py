"""What is counted of jobs that have ended, and of attempts that others followed, read for the statistics."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import Case, Count, DurationField, ExpressionWrapper, F, IntegerField, Q, Sum, Value, When
from django.db.models.functions import Coalesce, Greatest, TruncMinute
from django.db.models.lookups import LessThan

from container_manager.lifecycle import Subject
from container_manager.models import ContainerJob, JobAttempt
from container_manager.models.rollup import BUCKET_BOUNDS
from container_manager.sql.anyof import AnyOf

_IS_FIRST_TRY: Final = Q(retry_count=0, rerun_count=0, infra_rerun_count=0, rescue_count=0)


class Ends(NamedTuple):
    """Ends that are counted together; the database adds them up, as a driver reads durations one by one slowly."""

    queue: str
    outcome: str
    minute: datetime | None
    wait_bucket: int | None
    """``None``: these were not their jobs' only launches."""
    run_bucket: int | None
    jobs: int
    waited: timedelta | None
    ran: timedelta | None


class Went(NamedTuple):
    """What is counted of an attempt that is not its job's last."""

    queue: str
    outcome: str
    finished_at: datetime | None


def ends_of(ids: Collection[UUID], using: str) -> list[Ends]:
    """How the jobs ``ids`` ended, those together that are counted together. One query."""
    could_run = Greatest("queued_at", Coalesce("scheduled_for", "queued_at"))
    rows = ContainerJob.objects.using(using).filter(AnyOf("pk", ids)).order_by()
    measured = rows.annotate(
        minute=TruncMinute("finished_at", tzinfo=UTC),
        waited=Case(When(_IS_FIRST_TRY, then=_between(could_run, F("launched_at")))),
        ran=_between(F("started_at"), F("finished_at")),
    )
    sorted_out = measured.annotate(wait_bucket=_bucket_of("waited"), run_bucket=_bucket_of("ran"))
    groups = sorted_out.values_list("queue", "outcome", "minute", "wait_bucket", "run_bucket")
    return [Ends._make(row) for row in groups.annotate(Count("pk"), Sum("waited"), Sum("ran"))]


def attempts_of(ids: Collection[UUID], using: str) -> dict[Subject, Went]:
    """All attempts of the jobs ``ids``. One query, if there are any."""
    if not ids:
        return {}
    rows = JobAttempt.objects.using(using).filter(AnyOf("job", ids)).order_by()
    values = rows.values_list("job_id", "number", "job__queue", "outcome", "finished_at")
    return {
        Subject(job_id, number): Went(queue, outcome, finished_at)
        for job_id, number, queue, outcome, finished_at in values
    }


def _between(start: Any, end: Any) -> Case:
    """From ``start`` to ``end``; nothing where ``end`` is before, as by two clocks that disagree."""
    duration = ExpressionWrapper(end - start, DurationField())
    return Case(When(LessThan(end, start), then=Value(timedelta())), default=duration, output_field=DurationField())


def _bucket_of(duration: str) -> Case:
    """The number of the bucket of a duration; NULL of NULL."""
    bounds = [When(**{f"{duration}__lte": timedelta(seconds=end)}, then=n) for n, end in enumerate(BUCKET_BOUNDS)]
    longer = When(**{f"{duration}__isnull": False}, then=len(BUCKET_BOUNDS))
    return Case(*bounds, longer, output_field=IntegerField())
