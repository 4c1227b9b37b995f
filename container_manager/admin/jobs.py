"""Jobs: looked at, queued, retried, cancelled and taken out of the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from container_manager.admin.permissions import may
from container_manager.exceptions import QueueError
from container_manager.models import ContainerJob, JobAttempt, JobEvent
from container_manager.queue import queue_manager


class ReadOnlyInline(admin.TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(ReadOnlyInline):
    model = JobAttempt
    fk_name = "job"
    fields = ("number", "host", "launched_at", "started_at", "finished_at", "outcome", "exit_code", "error")


class EventInline(ReadOnlyInline):
    model = JobEvent
    fields = ("at", "attempt", "verb", "actor", "message")


@admin.register(ContainerJob)
class ContainerJobAdmin(admin.ModelAdmin):
    """The queue's own columns are shown and never edited; the actions go through ``queue_manager``."""

    list_display = (
        "id",
        "name",
        "command",
        "status",
        "priority",
        "queue",
        "attempt",
        "exit_code",
        "outcome",
        "created_at",
    )
    list_filter = ("status", "outcome", "queue")
    search_fields = ("id", "name", "image", "error")
    date_hierarchy = "created_at"
    show_full_result_count = False
    ordering = ("-created_at",)
    inlines = (AttemptInline, EventInline)
    actions = ("queue_selected", "dequeue_selected", "retry_selected", "cancel_selected")
    readonly_fields = tuple(sorted(ContainerJob.guarded_fields - {"scheduled_for", "max_retries"}))

    @admin.action(description=_("Queue the selected jobs"), permissions=["launch"])
    def queue_selected(self, request: HttpRequest, queryset: QuerySet[ContainerJob]) -> None:
        self._each(request, queryset, queue_manager.queue_job)

    @admin.action(description=_("Take the selected jobs out of the queue"), permissions=["launch"])
    def dequeue_selected(self, request: HttpRequest, queryset: QuerySet[ContainerJob]) -> None:
        self._each(request, queryset, queue_manager.dequeue_job)

    @admin.action(description=_("Retry the selected failed jobs"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[ContainerJob]) -> None:
        self._each(request, queryset, queue_manager.retry_job)

    @admin.action(description=_("Cancel the selected jobs"), permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[ContainerJob]) -> None:
        actor = request.user.get_username()
        self._each(request, queryset, lambda job: queue_manager.cancel_job(job, actor=actor))

    def has_launch_permission(self, request: HttpRequest) -> bool:
        return may(request, "launch")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return may(request, "retry")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return may(request, "cancel")

    def _each(
        self, request: HttpRequest, queryset: QuerySet[ContainerJob], do: Callable[[ContainerJob], object]
    ) -> None:
        done = 0
        for job in queryset:
            try:
                do(job)
            except QueueError as error:
                self.message_user(request, str(error), messages.WARNING)
            else:
                done += 1
        self.message_user(request, _("%(count)d done.") % {"count": done}, messages.SUCCESS)
