"""Who works, on what, and who stopped beating."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from container_manager.admin.dashboard.fleet import WorkerState, worker_states
from container_manager.admin.pages import fragment, page
from container_manager.admin.permissions import may, require
from container_manager.describing import short_id, title
from container_manager.models import Worker
from container_manager.queue import queue_manager
from container_manager.states import ACTIVE
from container_manager.visibility import visible_jobs
from container_manager.wording import cut, printable

JOBS: Final = 5
"""Of one worker that are named; the others are a link."""
JOBS_LOOKED_AT: Final = 500


@dataclass(frozen=True, slots=True)
class HeldJob:
    id: UUID
    title: str


@dataclass(slots=True)
class ShownWorker:
    """A worker, and some of the jobs that it has in hand."""

    state: WorkerState
    jobs: list[HeldJob] = field(default_factory=list)

    @property
    def short_id(self) -> str:
        return short_id(self.state.worker.pk)

    @property
    def has_more(self) -> bool:
        return self.state.slots.used > len(self.jobs) > 0


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):
    """Workers write their own rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "view", Worker)
        context = {"title": _("Workers"), "workers": _shown(request, queue_manager.using)}
        if request.headers.get("HX-Request"):
            return fragment(self, request, "workers/listing.html", context)
        return page(self, request, "workers/list.html", {**context, **(extra_context or {})})


def _shown(request: HttpRequest, using: str) -> list[ShownWorker]:
    """Those that beat first; the jobs are those that the user may see."""
    jobs: dict[UUID, list[HeldJob]] = defaultdict(list)
    if may(request, "view"):
        held = visible_jobs(request.user).filter(status__in=ACTIVE, worker__isnull=False)
        for job in held.order_by("-id").only("id", "name", "command", "image", "worker")[:JOBS_LOOKED_AT]:
            if job.worker and len(jobs[job.worker]) < JOBS:
                jobs[job.worker].append(HeldJob(job.pk, cut(printable(job.name or title(job)), 40) or short_id(job.pk)))
    states = sorted(worker_states(using), key=lambda state: not state.is_alive)
    return [ShownWorker(state, jobs[state.worker.pk]) for state in states]
