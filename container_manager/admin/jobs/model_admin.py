"""Which page answers which address of the jobs' admin."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from container_manager import lifecycle
from container_manager.admin.credentials import warn_of_credentials
from container_manager.admin.jobs.bulk_page import bulk_page
from container_manager.admin.jobs.definition_page import definitions_page, run_page
from container_manager.admin.jobs.files_tab import download_file
from container_manager.admin.jobs.forms import COPIED, FIELDSETS, JobForm
from container_manager.admin.jobs.job_page import SUMMARY, job_context
from container_manager.admin.jobs.listing import choices, read_listing
from container_manager.admin.jobs.log_page import download, new_lines
from container_manager.admin.pages import fragment, page
from container_manager.admin.permissions import require
from container_manager.exceptions import InvalidTransitionError, QueueError
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob
from container_manager.models.file import shown_files
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager
from container_manager.states import ACTIVE, Status, Verb
from container_manager.visibility import visible_jobs

EDITABLE = frozenset({Status.PENDING, Status.QUEUED, Status.FAILED})
"""Statuses in which the specification says what will run, not what has run."""


@admin.register(ContainerJob)
class ContainerJobAdmin(admin.ModelAdmin):
    """The queue's own columns are shown and never edited; every action goes through the queue."""

    form = JobForm
    fieldsets = FIELDSETS
    search_fields = ("id", "name")

    def get_queryset(self, request: HttpRequest) -> JobQuerySet:
        return visible_jobs(request.user)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        prefix = "container_manager_containerjob"
        return [
            path("bulk/", view(self.bulk_view), name=f"{prefix}_bulk"),
            path("run/", view(self.definitions_view), name=f"{prefix}_run"),
            path("run/<str:name>/", view(self.run_view), name=f"{prefix}_run_one"),
            path("<uuid:job_id>/edit/", view(self.edit_view), name=f"{prefix}_edit"),
            path("<uuid:job_id>/log/", view(self.new_lines_view), name=f"{prefix}_log"),
            path("<uuid:job_id>/log/download/", view(self.download_view), name=f"{prefix}_download"),
            path("<uuid:job_id>/file/<uuid:file_id>/", view(self.file_view), name=f"{prefix}_file"),
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

    def definitions_view(self, request: HttpRequest) -> HttpResponse:
        require(request, "add")
        require(request, "launch")
        return definitions_page(self, request)

    def run_view(self, request: HttpRequest, name: str) -> HttpResponse:
        require(request, "add")
        require(request, "launch")
        return run_page(self, request, name, self._source(request))

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
        return page(self, request, "jobs/job.html", {**context, "title": str(job), **(extra_context or {})})

    def edit_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """The form; a job that began meanwhile is left as it is."""
        try:
            return super().change_view(request, str(job_id))
        except InvalidTransitionError as error:
            self.message_user(request, str(error), messages.ERROR)
            return self._to_job(job_id)

    def new_lines_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        return new_lines(request, self._readable(request, job_id), queue_manager.using)

    def download_view(self, request: HttpRequest, job_id: UUID) -> StreamingHttpResponse:
        return download(request, self._readable(request, job_id), queue_manager.using)

    def file_view(self, request: HttpRequest, job_id: UUID, file_id: UUID) -> HttpResponseBase:
        """A file of the job; back to its page with what is wrong when the storage does not give it out."""
        job = self._readable(request, job_id)
        answer = download_file(get_object_or_404(shown_files(job, queue_manager.using), pk=file_id))
        if answer is not None:
            return answer
        text = "Its storage does not give this file out: it was deleted there, or does not answer."
        self.message_user(request, text, messages.ERROR)
        return self._to_job(job_id)

    def get_form(
        self, request: HttpRequest, obj: ContainerJob | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.source = obj or self._source(request)
        return form

    def save_model(self, request: HttpRequest, obj: ContainerJob, form: JobForm, change: bool) -> None:
        if not change and form.source is not None:
            for name in COPIED:
                setattr(obj, name, getattr(form.source, name))
        super().save_model(request, obj, form, change)
        warn_of_credentials(request, obj.environment)
        if change and form.changed_data:
            message = f"Changed: {', '.join(form.changed_data)}."
            subject = Subject(obj.pk, obj.attempt)
            lifecycle.record(TABLES, queue_manager.using, [subject], Verb.NOTE, actor=_name(request), message=message)

    def response_add(
        self, request: HttpRequest, obj: ContainerJob, post_url_continue: str | None = None
    ) -> HttpResponse:
        if "_queue" in request.POST:
            self._queue(request, obj)
        return self._to_job(obj.pk)

    def response_change(self, request: HttpRequest, obj: ContainerJob) -> HttpResponse:
        return self._to_job(obj.pk)

    def has_change_permission(self, request: HttpRequest, obj: ContainerJob | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.status in EDITABLE)

    def has_delete_permission(self, request: HttpRequest, obj: ContainerJob | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.status not in ACTIVE)

    def _queue(self, request: HttpRequest, job: ContainerJob) -> None:
        require(request, "launch")
        try:
            queue_manager.queue_job(job, actor=_name(request))
        except QueueError as error:
            self.message_user(request, str(error), messages.ERROR)

    def _source(self, request: HttpRequest) -> ContainerJob | None:
        """The job whose copy is asked for."""
        text = request.GET.get("clone", "")
        return self.get_object(request, text) if text and self.has_view_permission(request) else None

    def _readable(self, request: HttpRequest, job_id: UUID) -> ContainerJob:
        """The job, whose output the user may read; 403 or 404 otherwise."""
        require(request, "view")
        require(request, "view_logs")
        return get_object_or_404(visible_jobs(request.user), pk=job_id)

    def _to_job(self, job_id: UUID) -> HttpResponse:
        address = "admin:container_manager_containerjob_change"
        return HttpResponseRedirect(reverse(address, args=[job_id], current_app=self.admin_site.name))


def _name(request: HttpRequest) -> str:
    return str(request.user.get_username())
