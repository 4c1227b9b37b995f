"""The parts of the dashboard, whole on the app's index and one by one to refresh it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import admin
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from container_manager.admin.dashboard.states import tiles
from container_manager.admin.pages import fragment
from container_manager.admin.permissions import may, require
from container_manager.models import ContainerJob, MinuteRollup
from container_manager.queue import queue_manager


@dataclass(frozen=True, slots=True)
class Part:
    """One panel: whose permission ``view`` it needs, and what its template is given."""

    name: str
    model: type[Model]
    read: Callable[[HttpRequest, str], Mapping[str, Any]]

    @property
    def template(self) -> str:
        return f"dashboard/{self.name}.html"


def _states(request: HttpRequest, using: str) -> Mapping[str, Any]:
    return {"tiles": list(tiles(using))}


PARTS: Final = {part.name: part for part in (Part("states", ContainerJob, _states),)}


def dashboard(request: HttpRequest) -> dict[str, Mapping[str, Any]]:
    """What the templates of the parts that the user may see are given, by name."""
    using = queue_manager.using
    return {name: part.read(request, using) for name, part in PARTS.items() if may(request, "view", part.model)}


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
        return fragment(self, request, part.template, part.read(request, queue_manager.using))
