"""Where jobs run: health, load, a test of the connection, draining and resuming."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from container_manager import conf
from container_manager.admin.dashboard.fleet import host_states
from container_manager.admin.hosts.form import HostForm, fieldsets_of, form_of, offered_executors, why_not
from container_manager.admin.pages import fragment, page
from container_manager.admin.permissions import may, require
from container_manager.conf import executors
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.models import ExecutorHost
from container_manager.queue import queue_manager
from container_manager.services.probing import probe


@admin.register(ExecutorHost)
class ExecutorHostAdmin(admin.ModelAdmin):
    form = HostForm
    readonly_fields = ("engine_version", "checked_at", "health_error", "failures", "retry_at", "claimed_at")
    change_form_template = "admin/container_manager/executorhost/change_form.html"

    def get_form(
        self, request: HttpRequest, obj: ExecutorHost | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if not _may_edit(self, request, obj):
            return super().get_form(request, obj, change=change, **kwargs)
        return super().get_form(request, obj, change=change, form=form_of(chosen_executor(request, obj)), **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: ExecutorHost | None = None) -> Any:
        health = (_("Health"), {"fields": self.readonly_fields})
        if not _may_edit(self, request, obj):
            shown = ("name", "executor_type", "options", "queues", "node", "is_active", "max_concurrent_jobs")
            return [(None, {"fields": shown}), health]
        fieldsets = fieldsets_of(chosen_executor(request, obj))
        return fieldsets if obj is None else [*fieldsets, health]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_changeform_initial_data(request), "executor_type": chosen_executor(request, None)}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        host = context["original"]
        chosen = chosen_executor(request, host)
        context["executors"] = offered_executors(chosen) if _may_edit(self, request, host) else []
        context["chosen"] = chosen
        context["why_not"] = why_not(chosen)
        if host is not None and host.executor_type != chosen and request.method == "GET":
            context["adminform"].form.initial["executor_type"] = chosen
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "view", ExecutorHost)
        context = {
            "title": _("Hosts"),
            "hosts": host_states(queue_manager.using),
            "may_add": self.has_add_permission(request),
            "may_act": may(request, "change", ExecutorHost),
        }
        if request.headers.get("HX-Request"):
            return fragment(self, request, "hosts/listing.html", context)
        return page(self, request, "hosts/list.html", {**context, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.act)
        return [path("<path:object_id>/act/<slug:name>/", view, name="container_manager_host_act"), *super().get_urls()]

    def act(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """``test``, ``drain`` or ``resume`` one host, by POST; 403 without the permission to change hosts."""
        require(request, "change", ExecutorHost)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        host = self.get_object(request, object_id)
        if host is None or name not in ("test", "drain", "resume"):
            raise Http404("There is no such host or action.")
        if name == "test":
            self._test(request, host)
        else:
            self._set_active(request, host, is_active=name == "resume")
        view, arguments = ("changelist", []) if "to_list" in request.POST else ("change", [host.pk])
        address = f"admin:container_manager_executorhost_{view}"
        return HttpResponseRedirect(reverse(address, args=arguments, current_app=self.admin_site.name))

    def _test(self, request: HttpRequest, host: ExecutorHost) -> None:
        try:
            health = probe(host, queue_manager.using)
        except (ExecutorError, ConfigurationError) as error:
            self.message_user(request, f"{host}: {error}", messages.ERROR)
        else:
            text = _("%(host)s: the engine answers, version %(version)s, %(engine)s.")
            self.message_user(
                request, text % {"host": host, "version": health.version or "?", "engine": health.engine_id}
            )

    def _set_active(self, request: HttpRequest, host: ExecutorHost, *, is_active: bool) -> None:
        host.is_active = is_active
        host.save(update_fields=["is_active"])
        self.log_change(request, host, "Resumed." if is_active else "Drained.")
        text = _("%(host)s takes jobs again.") if is_active else _("%(host)s takes no new jobs; what runs goes on.")
        self.message_user(request, text % {"host": host})


def chosen_executor(request: HttpRequest, host: ExecutorHost | None) -> str:
    """The one whose options the form shows: what was sent or asked for, the host's own, else the likeliest."""
    asked = request.POST.get("executor_type") or request.GET.get("executor_type", "")
    if asked in executors():
        return asked
    if host is not None:
        return host.executor_type
    return "process" if why_not("docker") and conf.is_process_executor_allowed() else "docker"


def _may_edit(model_admin: admin.ModelAdmin, request: HttpRequest, host: ExecutorHost | None) -> bool:
    if host is None:
        return model_admin.has_add_permission(request)
    return model_admin.has_change_permission(request, host)
