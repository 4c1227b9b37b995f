"""The tests' own project: the admin, and what the package offers to mount."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("queue/", include("container_manager.urls")),
    path("api/v1/", include("container_manager.api.urls")),
]
