"""``path("api/v1/", include("container_manager.api.urls"))``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import SimpleRouter

from container_manager.api.bulk import BulkView
from container_manager.api.document import SchemaView
from container_manager.api.fleet import HostViewSet, LiveView, ReadyView, StatsView, WorkerViewSet
from container_manager.api.jobs import JobViewSet
from container_manager.api.output import LogStreamView, LogsView

app_name = "container_manager_api"
router = SimpleRouter()
router.register("jobs", JobViewSet, basename="jobs")
router.register("hosts", HostViewSet, basename="hosts")
router.register("workers", WorkerViewSet, basename="workers")

urlpatterns: list[URLPattern | URLResolver] = [
    path("jobs/bulk/", BulkView.as_view(), name="jobs-bulk"),
    path("jobs/<str:id>/logs/", LogsView.as_view(), name="jobs-logs"),
    path("jobs/<str:id>/logs/stream/", LogStreamView.as_view(), name="jobs-logs-stream"),
    *router.urls,
    path("stats/", StatsView.as_view(), name="stats"),
    path("health/live", LiveView.as_view(), name="live"),
    path("health/ready", ReadyView.as_view(), name="ready"),
    path("schema/", SchemaView.as_view(), name="schema"),
]
