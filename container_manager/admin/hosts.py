"""Where jobs run."""

from __future__ import annotations

from django.contrib import admin

from container_manager.models import ExecutorHost


@admin.register(ExecutorHost)
class ExecutorHostAdmin(admin.ModelAdmin):
    list_display = (
        "name",
        "executor_type",
        "is_active",
        "max_concurrent_jobs",
        "node",
        "engine_version",
        "health_error",
    )
    list_filter = ("executor_type", "is_active")
    readonly_fields = ("engine_version", "checked_at", "health_error", "failures", "retry_at", "claimed_at")
