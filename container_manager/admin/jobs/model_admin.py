"""Which page answers which address of the jobs' admin."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path

from container_manager.admin.jobs.bulk_page import bulk_page
from container_manager.admin.jobs.job_page import SUMMARY, job_context
from container_manager.admin.jobs.listing import choices, read_listing
from container_manager.admin.jobs.log_page import download, new_lines
from container_manager.admin.pages import fragment, page
from container_manager.admin.permissions import require
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager
from container_manager.states import ACTIVE, Status

EDITABLE = frozenset({Status.PENDING, Status.QUEUED, Status.FAILED})
"""Statuses in which the specification says what will run, not what has run."""


@admin.register(ContainerJob)
class ContainerJobAdmin(admin.ModelAdmin):
    """The queue's own columns are shown and never edited; every action goes through the queue."""

    search_fields = ("id", "name")
    readonly_fields = tuple(sorted(ContainerJob.guarded_fields - {"scheduled_for", "max_retries"}))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        prefix = "container_manager_containerjob"
        return [
            path("bulk/", view(self.bulk_view), name=f"{prefix}_bulk"),
            path("<uuid:job_id>/edit/", view(self.edit_view), name=f"{prefix}_edit"),
            path("<uuid:job_id>/log/", view(self.new_lines_view), name=f"{prefix}_log"),
            path("<uuid:job_id>/log/download/", view(self.download_view), name=f"{prefix}_download"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "view")
        using = queue_manager.using
        listing = read_listing(request, using)
        if request.headers.get("HX-Request"):
            return fragment(self, request, "jobs/listing.html", {"listing": listing})
        context = {"title": "Jobs", "listing": listing, **choices(request, using), **(extra_context or {})}
        return page(self, request, "jobs/list.html", context)

    def bulk_view(self, request: HttpRequest) -> HttpResponse:
        require(request, "view")
        return bulk_page(self, request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The job's page; its form is ``edit_view``."""
        require(request, "view")
        using = queue_manager.using
        job = self.get_object(request, unquote(object_id))
        if job is None:
            raise Http404(f"There is no job {object_id}.")
        part = request.GET.get("part", "")
        context = job_context(request, job, using, part)
        if request.headers.get("HX-Request") and part:
            return fragment(self, request, "jobs/summary.html" if part == SUMMARY else "jobs/tab.html", context)
        own = {
            "title": str(job),
            "may_edit": self.has_change_permission(request, job),
            "may_clone": self.has_add_permission(request),
            "original": job,
        }
        return page(self, request, "jobs/job.html", {**context, **own, **(extra_context or {})})

    def edit_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        return super().change_view(request, str(job_id))

    def new_lines_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        return new_lines(request, self._readable(request, job_id), queue_manager.using)

    def download_view(self, request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
        return download(request, self._readable(request, job_id), queue_manager.using)

    def _readable(self, request: HttpRequest, job_id: UUID) -> ContainerJob:
        """The job, whose output the user may read; 403 or 404 otherwise."""
        require(request, "view")
        require(request, "view_logs")
        return get_object_or_404(JobQuerySet(ContainerJob, using=queue_manager.using), pk=job_id)

    def has_change_permission(self, request: HttpRequest, obj: ContainerJob | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.status in EDITABLE)

    def has_delete_permission(self, request: HttpRequest, obj: ContainerJob | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.status not in ACTIVE)
