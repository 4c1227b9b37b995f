"""The parts of the dashboard, whole on the app's index and one by one to refresh them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from container_manager.admin.dashboard.attention import items
from container_manager.admin.dashboard.charts import charts
from container_manager.admin.dashboard.fleet import host_states, worker_states
from container_manager.admin.dashboard.history import WINDOWS
from container_manager.admin.dashboard.queues import queues
from container_manager.admin.dashboard.states import tiles
from container_manager.admin.pages import fragment
from container_manager.admin.permissions import may, require
from container_manager.models import ContainerJob, ExecutorHost, HandlerCall, MinuteRollup, Worker
from container_manager.queue import queue_manager


@dataclass(frozen=True, slots=True)
class Part:
    """One panel: whose permission ``view`` it needs, and what its template is given."""

    name: str
    model: type[Model]
    read: Callable[[HttpRequest, str], Mapping[str, Any]]

    @property
    def template(self) -> str:
        return f"admin/container_manager/dashboard/{self.name}.html"


def _states(request: HttpRequest, using: str) -> Mapping[str, Any]:
    return {"tiles": list(tiles(using, timezone.now()))}


def _attention(request: HttpRequest, using: str) -> Mapping[str, Any]:
    seen = {
        "with_hosts": may(request, "view", ExecutorHost),
        "with_workers": may(request, "view", Worker),
        "with_handlers": may(request, "view", HandlerCall),
    }
    return {"items": items(using, timezone.now(), **seen)}


def _charts(request: HttpRequest, using: str) -> Mapping[str, Any]:
    window = WINDOWS.get(request.GET.get("window", ""), WINDOWS["1h"])
    return {"window": window.name, "windows": list(WINDOWS), "charts": charts(window, using)}


def _queues(request: HttpRequest, using: str) -> Mapping[str, Any]:
    return {"queues": queues(using, timezone.now())}


def _hosts(request: HttpRequest, using: str) -> Mapping[str, Any]:
    return {"hosts": host_states(using)}


def _workers(request: HttpRequest, using: str) -> Mapping[str, Any]:
    return {"workers": worker_states(using)}


PARTS: Final = {
    part.name: part
    for part in (
        Part("states", ContainerJob, _states),
        Part("attention", ContainerJob, _attention),
        Part("charts", ContainerJob, _charts),
        Part("queues", ContainerJob, _queues),
        Part("hosts", ExecutorHost, _hosts),
        Part("workers", Worker, _workers),
    )
}


def dashboard(request: HttpRequest) -> dict[str, Mapping[str, Any]]:
    """The parts that the user may see, by name, each as its template needs it."""
    using = queue_manager.using
    query = request.GET.urlencode()
    return {
        name: {"name": name, "template": part.template, "query": query, **part.read(request, using)}
        for name, part in PARTS.items()
        if may(request, "view", part.model)
    }


@admin.register(MinuteRollup)
class DashboardAdmin(admin.ModelAdmin):
    """No list of its rows: the dashboard is on the app's index, and its parts are fetched here."""

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {}

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.front), name="container_manager_minuterollup_changelist"),
            path("<slug:name>/", view(self.part), name="container_manager_dashboard_part"),
        ]

    def front(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(
            reverse("admin:app_list", args=["container_manager"], current_app=self.admin_site.name)
        )

    def part(self, request: HttpRequest, name: str) -> HttpResponse:
        """One part, to be swapped in. 403 without its permission."""
        if name not in PARTS:
            raise Http404(f"The dashboard has no part {name!r}.")
        part = PARTS[name]
        require(request, "view", part.model)
        return fragment(self, request, f"dashboard/{name}.html", {"part": part.read(request, queue_manager.using)})
