"""Who works, and who stopped beating."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from container_manager.models import Worker


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):
    list_display = ("id", "kind", "node", "process_id", "started_at", "heartbeat_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Worker | None = None) -> bool:
        return False
