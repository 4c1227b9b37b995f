"""Jobs that belong together: their progress, and what is to happen when the last of them has ended."""

from __future__ import annotations

from typing import Any, TypedDict

from django.db import models
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from container_manager.sql.indexes import PartialIndex
from container_manager.states import ACTIVE, TERMINAL, Status


class BatchProgress(TypedDict):
    total: int
    queued: int
    running: int
    completed: int
    failed: int
    cancelled: int


class JobBatch(models.Model):
    """
    Jobs that were queued together. ``completed_at`` is set once, by a worker, after the last has ended.

    ``completed``, ``failed`` and ``cancelled`` are written with it: they outlive the jobs.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200, blank=True, default="")
    total = models.PositiveIntegerField(default=0)
    max_running = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Most of its jobs on their way at once; empty = any number.")
    )
    on_complete = models.CharField(
        max_length=200, blank=True, default="", help_text=_("Dotted path of a function that is given the batch.")
    )
    created_at = models.DateTimeField(default=timezone.now)
    completed_at = models.DateTimeField(null=True, blank=True)
    completed = models.PositiveIntegerField(null=True, blank=True)
    failed = models.PositiveIntegerField(null=True, blank=True)
    cancelled = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name_plural = _("job batches")
        ordering = ("-id",)
        indexes = (
            PartialIndex(fields=["id"], name="cm_batch_open", where=models.Q(completed_at__isnull=True)),
            models.Index(fields=["completed_at", "id"], name="cm_batch_history"),
        )

    def __str__(self) -> str:
        return f"{self.name or self.pk} ({self.total} jobs)"

    @property
    def is_completed(self) -> bool:
        return self.completed_at is not None

    def progress(self) -> BatchProgress:
        """
        How many of its jobs are where, now: one look at an index, or at the row once the batch has completed.

        ``queued`` are all that wait, ``running`` those that launch or run. A job that is
        retried after the batch has completed changes nothing here any more.
        """
        if self.completed_at is None:
            return self.count()
        done = {"completed": self.completed or 0, "failed": self.failed or 0, "cancelled": self.cancelled or 0}
        return {"total": self.total, "queued": 0, "running": 0, **done}  # type: ignore[typeddict-item]

    def count(self) -> BatchProgress:
        """As ``progress``, from the jobs whatever has been written."""
        rows: Any = self.jobs.using(self._state.db).order_by().values_list("status").annotate(Count("pk"))
        counts = dict.fromkeys(Status, 0) | dict(rows)
        waiting = set(Status) - ACTIVE - TERMINAL
        return {
            "total": self.total,
            "queued": sum(counts[status] for status in waiting),
            "running": sum(counts[status] for status in ACTIVE),
            "completed": counts[Status.COMPLETED],
            "failed": counts[Status.FAILED],
            "cancelled": counts[Status.CANCELLED],
        }
