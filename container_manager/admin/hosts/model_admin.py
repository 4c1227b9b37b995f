"""Where jobs run: health, load, a test of the connection, draining and resuming."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from container_manager import conf
from container_manager.admin.dashboard.fleet import Capacity
from container_manager.admin.hosts.form import HostForm, fieldsets_of, form_of, offered_executors, why_not
from container_manager.admin.permissions import require
from container_manager.conf import executors
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.models import ExecutorHost, JobAttempt
from container_manager.queue import queue_manager
from container_manager.services.probing import probe

INCLUDES = "admin/container_manager/includes"


@admin.register(ExecutorHost)
class ExecutorHostAdmin(admin.ModelAdmin):
    form = HostForm
    search_fields = ("name",)
    list_display = ("name", "executor_type", "state", "slots", "node", "engine_version", "health_error")
    list_filter = ("executor_type", "is_active")
    readonly_fields = ("engine_version", "checked_at", "health_error", "failures", "retry_at", "claimed_at")
    actions = ("drain_selected", "resume_selected")
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExecutorHost]:
        attempts = JobAttempt.objects.filter(host=OuterRef("pk"), active_job__isnull=False).order_by()
        counts = attempts.values("host").annotate(count=Count("pk")).values("count")
        hosts: QuerySet[ExecutorHost] = super().get_queryset(request)
        return hosts.annotate(in_hand=Coalesce(Subquery(counts), 0))

    @admin.display(description=gettext_lazy("State"))
    def state(self, host: ExecutorHost) -> SafeString:
        if host.health_error:
            return badge("bad", _("Down"))
        if not host.is_active:
            return badge("off", _("Drained"))
        return badge("good", _("Healthy")) if host.engine_id else badge("warn", _("Not reached yet"))

    @admin.display(description=gettext_lazy("Slots"))
    def slots(self, host: ExecutorHost) -> SafeString:
        used = Capacity(getattr(host, "in_hand", 0), host.max_concurrent_jobs)
        return render_to_string(f"{INCLUDES}/capacity.html", {"capacity": used})

    @admin.action(description=gettext_lazy("Drain: no new jobs, what runs goes on"), permissions=["change"])
    def drain_selected(self, request: HttpRequest, queryset: QuerySet[ExecutorHost]) -> None:
        self._set_active(request, queryset, is_active=False)

    @admin.action(description=gettext_lazy("Resume"), permissions=["change"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[ExecutorHost]) -> None:
        self._set_active(request, queryset, is_active=True)

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
            self._set_active(request, [host], is_active=name == "resume")
        change = reverse(
            "admin:container_manager_executorhost_change", args=[host.pk], current_app=self.admin_site.name
        )
        return HttpResponseRedirect(change)

    def _test(self, request: HttpRequest, host: ExecutorHost) -> None:
        try:
            health = probe(host, queue_manager.using)
        except (ExecutorError, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            text = _("The engine answers: version %(version)s, %(engine)s.")
            self.message_user(request, text % {"version": health.version or "?", "engine": health.engine_id})

    def _set_active(self, request: HttpRequest, hosts: Iterable[ExecutorHost], *, is_active: bool) -> None:
        for host in hosts:
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


def badge(tone: str, text: str) -> SafeString:
    return render_to_string(f"{INCLUDES}/badge.html", {"icon": tone, "tone": tone, "text": text})
