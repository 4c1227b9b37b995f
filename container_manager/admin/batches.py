"""Batches: how far each is, and the way to its jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from container_manager import conf
from container_manager.admin.dashboard.fleet import Capacity
from container_manager.admin.pages import fragment, page
from container_manager.admin.paging import page_of
from container_manager.admin.permissions import require
from container_manager.models import ContainerJob, JobBatch
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager
from container_manager.states import Status
from container_manager.visibility import visible_jobs

COUNTABLE: Final = 20_000
"""Jobs of the open batches of a page that are counted; more are left to the batch's own list."""


@dataclass(frozen=True, slots=True)
class ShownBatch:
    """``ended``: how many of its jobs, as far as they were counted."""

    batch: JobBatch
    ended: Capacity | None
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def tone(self) -> str:
        if not self.batch.is_completed:
            return "running"
        return "bad" if self.failed else "good"

    @property
    def state(self) -> str:
        return _("Completed") if self.batch.is_completed else _("Open")


@admin.register(JobBatch)
class JobBatchAdmin(admin.ModelAdmin):
    """The queue and its workers write batches."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: JobBatch | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: JobBatch | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[JobBatch]:
        batches = JobBatch.objects.using(queue_manager.using)
        if not conf.get("VISIBLE_JOBS"):
            return batches.all()
        return batches.filter(Exists(visible_jobs(request.user).filter(batch=OuterRef("pk"))))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "view", JobBatch)
        found = page_of(self.get_queryset(request).order_by("-id"), request.GET.get("page", ""))
        context = {
            "title": _("Batches"),
            "batches": _shown(found.rows, queue_manager.using),
            "number": found.number,
            "has_older": found.has_older,
        }
        if request.headers.get("HX-Request"):
            return fragment(self, request, "batches/listing.html", context)
        return page(self, request, "batches/list.html", {**context, **(extra_context or {})})


def _shown(batches: Sequence[JobBatch], using: str) -> list[ShownBatch]:
    counts = _counts(batches, using)
    shown = []
    for batch in batches:
        count = counts.get(batch.pk)
        if count is None:
            shown.append(ShownBatch(batch, None))
            continue
        ended = [count.get(status, 0) for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)]
        shown.append(ShownBatch(batch, Capacity(sum(ended), batch.total), *ended))
    return shown


def _counts(batches: Sequence[JobBatch], using: str) -> dict[UUID, Mapping[str, int]]:
    """By batch and status: of completed ones as they were written, of open ones from the jobs, in one query."""
    found: dict[UUID, Mapping[str, int]] = {}
    counted: list[UUID] = []
    left = COUNTABLE
    for batch in batches:
        if batch.is_completed:
            progress = batch.progress()
            found[batch.pk] = {
                Status.COMPLETED: progress["completed"],
                Status.FAILED: progress["failed"],
                Status.CANCELLED: progress["cancelled"],
            }
        elif batch.total <= left:
            left -= batch.total
            counted.append(batch.pk)
            found[batch.pk] = {}
    if counted:
        open_counts: defaultdict[UUID, dict[str, int]] = defaultdict(dict)
        jobs = JobQuerySet(ContainerJob, using=using).filter(batch_id__in=counted).order_by()
        for batch_id, status, count in jobs.values_list("batch_id", "status").annotate(Count("pk")):
            open_counts[batch_id][status] = count
        found |= open_counts
    return found
