"""Reusable environments."""

from __future__ import annotations

from django.contrib import admin

from container_manager.models import EnvironmentTemplate


@admin.register(EnvironmentTemplate)
class EnvironmentTemplateAdmin(admin.ModelAdmin):
    list_display = ("name", "description")
    search_fields = ("name",)
