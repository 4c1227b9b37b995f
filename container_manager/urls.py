"""
Health checks, and metrics where the extra ``metrics`` is installed:
``path("queue/", include("container_manager.urls"))``. The REST API has its own, ``container_manager.api.urls``.
"""

from __future__ import annotations

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from container_manager.health import live, ready

app_name = "container_manager"
urlpatterns: list[URLPattern | URLResolver] = [
    path("health/live", live, name="live"),
    path("health/ready", ready, name="ready"),
]
if find_spec("prometheus_client"):
    urlpatterns.append(path("", include("container_manager.metrics.urls")))
