"""Where jobs run: health, load, a test of the connection, draining and resuming."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from container_manager.admin.dashboard.fleet import Capacity
from container_manager.admin.permissions import require
from container_manager.conf import executors
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.hosts import node_name
from container_manager.models import ExecutorHost, JobAttempt
from container_manager.queue import queue_manager
from container_manager.services.probing import probe

INCLUDES = "admin/container_manager/includes"


class HostForm(forms.ModelForm):
    """Checks the connection before it saves, where this machine can reach the engine."""

    executor_type = forms.ChoiceField(label=gettext_lazy("Executor"))
    save_unchecked = forms.BooleanField(
        required=False,
        label=gettext_lazy("Save without asking the engine"),
        help_text=gettext_lazy("Where only the workers reach it."),
    )

    class Meta:
        model = ExecutorHost
        exclude = ()  # noqa: DJ006 - the admin names the fields

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["executor_type"].choices = [(name, name) for name in executors()]  # type: ignore[attr-defined]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc] # the model's own checks first: its options must be valid
        host = self.instance
        is_new_address = bool({"executor_type", "options", "node"} & set(self.changed_data))
        is_here = host.node in ("", node_name())
        if self.errors or not is_new_address or not is_here or self.cleaned_data.get("save_unchecked"):
            return
        try:
            probe(host, queue_manager.using)
        except (ExecutorError, ConfigurationError) as error:
            self.add_error("options", _("The connection does not work: %(error)s") % {"error": error})


@admin.register(ExecutorHost)
class ExecutorHostAdmin(admin.ModelAdmin):
    form = HostForm
    list_display = ("name", "executor_type", "state", "slots", "node", "engine_version", "health_error")
    list_filter = ("executor_type", "is_active")
    readonly_fields = ("engine_version", "checked_at", "health_error", "failures", "retry_at", "claimed_at")
    actions = ("drain_selected", "resume_selected")
    change_form_template = "admin/container_manager/executorhost/change_form.html"

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


def badge(tone: str, text: str) -> SafeString:
    return render_to_string(f"{INCLUDES}/badge.html", {"icon": tone, "tone": tone, "text": text})
