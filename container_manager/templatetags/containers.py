"""What the admin's templates need: ``{% load containers %}``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.apps import apps
from django.db.models import Model
from django.http import HttpRequest
from django.template import Context
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from container_manager import wording
from container_manager.models import ContainerJob, EnvironmentTemplate, ExecutorHost, HandlerCall, JobBatch, Worker
from container_manager.states import Status

if apps.is_installed("django.contrib.admin"):  # without it, Django imports every library of tags all the same
    from container_manager.admin.dashboard.views import dashboard
    from container_manager.admin.permissions import may

register = template.Library()
register.filter("duration", wording.duration)


@register.simple_tag(takes_context=True)
def frame(context: Context) -> dict[str, Any]:
    """The areas that the user may see, whether pages refresh themselves, and the zone of the times."""
    request: HttpRequest = context["request"]
    site = getattr(request, "current_app", None)
    front = reverse("admin:app_list", args=["container_manager"], current_app=site)
    links = [{"title": _("Dashboard"), "url": front, "is_here": request.path == front}]
    areas: list[tuple[str, type[Model]]] = [
        (_("Jobs"), ContainerJob),
        (_("Batches"), JobBatch),
        (_("Hosts"), ExecutorHost),
        (_("Workers"), Worker),
        (_("Handlers"), HandlerCall),
        (_("Environments"), EnvironmentTemplate),
    ]
    for title, model in areas:
        if not may(request, "view", model):
            continue
        try:
            url = reverse(f"admin:container_manager_{model._meta.model_name}_changelist", current_app=site)
        except NoReverseMatch:  # not registered with this site
            continue
        links.append({"title": title, "url": url, "is_here": request.path.startswith(url)})
    return {
        "links": links,
        "refreshes": apps.is_installed("django_htmx"),
        "zone": timezone.localtime().strftime("%Z"),
        "zone_name": timezone.get_current_timezone_name(),
    }


@register.simple_tag(takes_context=True, name="dashboard")
def dashboard_parts(context: Context) -> dict[str, Any]:
    """What each part of the dashboard shows, for the parts that the user may see."""
    return dict(dashboard(context["request"]))


@register.simple_tag
def moment(value: datetime | None, form: str = "ago") -> SafeString | str:
    """``value`` as ``<time>``: how long ago, with the moment and its zone as title, or the other way round (``at``)."""
    if value is None:
        return "-"
    shown, title = wording.ago(value), wording.local(value)
    if form == "at":
        shown, title = title, shown
    return format_html('<time datetime="{}" title="{}">{}</time>', wording.iso(value), title, shown)


@register.simple_tag
def seconds(value: float | None) -> str:
    """A duration in one unit; nothing where nothing was measured."""
    return "-" if value is None else wording.duration(value)


@register.inclusion_tag("admin/container_manager/includes/badge.html")
def status_badge(status: str) -> dict[str, str]:
    """A job's status as icon, word and colour."""
    return {"icon": str(status), "tone": str(status), "text": str(Status(status).label)}


@register.inclusion_tag("admin/container_manager/includes/badge.html")
def badge(tone: str, text: str) -> dict[str, str]:
    """``text`` with the icon and colour of ``tone``: a status, or ``good``, ``bad``, ``warn``, ``off``."""
    return {"icon": tone, "tone": tone, "text": text}
