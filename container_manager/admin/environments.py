"""Reusable environments."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from container_manager.admin.credentials import warn_of_credentials
from container_manager.models import EnvironmentTemplate


@admin.register(EnvironmentTemplate)
class EnvironmentTemplateAdmin(admin.ModelAdmin):
    list_display = ("name", "description")
    search_fields = ("name",)

    def save_model(self, request: HttpRequest, obj: EnvironmentTemplate, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        warn_of_credentials(request, obj.environment)
