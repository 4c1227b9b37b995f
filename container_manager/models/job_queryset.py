"""Questions asked of the job table."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypedDict
from uuid import UUID

from django.db import router, transaction
from django.db.models import F, Q
from django.utils import timezone

from container_manager.exceptions import JobActiveError
from container_manager.models.file import JobFile, delete_contents, owned_contents
from container_manager.models.guarded import GuardedQuerySet
from container_manager.sql.indexes import Literal
from container_manager.sql.scalars import ask, count_of
from container_manager.states import ACTIVE, Status

if TYPE_CHECKING:
    from container_manager.models.job import ContainerJob  # noqa: F401 - the string below


class QueueStats(TypedDict):
    queued: int
    scheduled: int
    running: int
    launch_failed: int


class JobQuerySet(GuardedQuerySet["ContainerJob"]):
    @property
    def write_alias(self) -> str:
        """The database on which the queue lives: never a replica."""
        return router.db_for_write(self.model)

    def in_order(self) -> Self:
        """Highest priority first, then first in, first out."""
        return self.order_by("-priority", "queued_at", "id")

    def launchable(self) -> Self:
        """
        Ready by the fields that users see: queued, due, a launch left; whatever ``hold`` says.

        ``get_ready_jobs`` and an explicit ``launch_job`` judge by these.
        """
        return self.filter(
            Q(scheduled_for__isnull=True) | Q(scheduled_for__lte=timezone.now()),
            status=Status.QUEUED,
            queued_at__isnull=False,
            launched_at__isnull=True,
            retry_count__lt=F("max_retries"),
        )

    def queue_stats(self, now: datetime) -> QueueStats:
        """
        The four counts of ``get_queue_stats``, in one statement.

        Jobs that ran and have finished are not read. On PostgreSQL each part is counted in an index alone.
        """
        queued = self.filter(status=Literal(Status.QUEUED))
        all_queued, exhausted, scheduled, running, never_started = ask(
            [
                count_of(queued),
                count_of(queued.filter(retry_count__gte=F("max_retries"))),
                count_of(queued.filter(scheduled_for__gt=now)),
                count_of(self.filter(status=Literal(Status.RUNNING))),
                count_of(self.filter(status=Literal(Status.FAILED), launched_at__isnull=True)),
            ],
            self.db,
        )
        return {
            "queued": all_queued - exhausted,
            "scheduled": scheduled,
            "running": running,
            "launch_failed": exhausted + never_started,
        }

    def delete(self) -> tuple[int, dict[str, int]]:
        """
        Rows with their attempts, events and output are gone. ``JobActiveError`` if one is active, and none is.

        Once that is committed, so are the files that this package stored for them.
        """
        with transaction.atomic(using=self.db):
            refuse_active(self.filter(status__in=ACTIVE).order_by().values_list("pk", flat=True)[:1])
            with_files = JobFile.objects.using(self.db).filter(job__in=self.order_by()).order_by()
            contents = owned_contents(set(with_files.values_list("job_id", flat=True)), self.db)
            if contents:
                transaction.on_commit(partial(delete_contents, contents), using=self.db, robust=True)
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


def refuse_active(active: Collection[UUID] | Any) -> None:
    """``JobActiveError`` naming the first of ``active``."""
    for job_id in active:
        raise JobActiveError(f"Job {job_id} is launching or running. Cancel it first: queue_manager.cancel_job(job).")
