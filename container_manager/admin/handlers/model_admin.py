"""The page of handler calls: what failed and why, what waits, and having it tried again or given up."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from container_manager.admin.handlers.listing import read_listing, visible_calls
from container_manager.admin.pages import fragment, page
from container_manager.admin.permissions import may, require
from container_manager.handlers import delivery
from container_manager.models import HandlerCall
from container_manager.queue import queue_manager

CAP: Final = 1_000
"""The most that one press of a button changes."""
_ACTS: Final[dict[str, tuple[Callable[[str, Collection[int]], int], str]]] = {
    "retry": (delivery.retry, "Tried again."),
    "give_up": (delivery.give_up, "Given up."),
}


@admin.register(HandlerCall)
class HandlerCallAdmin(admin.ModelAdmin):
    """No form: a call is written by the queue and its workers."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[HandlerCall]:
        return visible_calls(request.user, queue_manager.using)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.act_view)
        return [path("act/", view, name="container_manager_handlercall_act"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(request, "view", HandlerCall)
        context = {
            "title": _("Handlers"),
            "listing": read_listing(self.get_queryset(request), request.GET),
            "may_act": may(request, "change", HandlerCall),
        }
        if request.headers.get("HX-Request"):
            return fragment(self, request, "handlers/listing.html", context)
        return page(self, request, "handlers/list.html", {**context, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(self._list())

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """POST ``retry`` or ``give_up``: an id, or ``failed`` for all that failed. 403 without ``change``."""
        require(request, "change", HandlerCall)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        for name, (act, said) in _ACTS.items():
            if name in request.POST:
                ids = self._meant(request, request.POST[name])
                self._tell(request, name, act(queue_manager.using, ids), ids, said)
        kept = {key: request.GET[key] for key in ("state", "job") if key in request.GET}
        return HttpResponseRedirect(f"{self._list()}?{urlencode(kept)}" if kept else self._list())

    def _meant(self, request: HttpRequest, value: str) -> list[int]:
        calls = self.get_queryset(request)
        if value != "failed":
            is_id = value.isascii() and value.isdigit() and len(value) < 19
            return list(calls.filter(pk=int(value)).values_list("pk", flat=True)) if is_id else []
        return list(calls.filter(state=HandlerCall.State.FAILED).order_by("id").values_list("pk", flat=True)[:CAP])

    def _tell(self, request: HttpRequest, name: str, count: int, ids: list[int], said: str) -> None:
        if not count:
            text = _("Nothing was changed: it was told meanwhile, or is being told now.")
            self.message_user(request, text, messages.WARNING)
            return
        LogEntry.objects.log_actions(
            user_id=str(request.user.pk), queryset=HandlerCall.objects.filter(pk__in=ids), action_flag=CHANGE,
            change_message=said,
        )  # fmt: skip
        text = (
            ngettext("%(count)d call is due now.", "%(count)d calls are due now.", count) if name == "retry"
            else ngettext("%(count)d call was given up.", "%(count)d calls were given up.", count)
        )  # fmt: skip
        self.message_user(request, text % {"count": count})
        if len(ids) == CAP:
            self.message_user(request, _("That is the most at once; there may be more."), messages.WARNING)

    def _list(self) -> str:
        return reverse("admin:container_manager_handlercall_changelist", current_app=self.admin_site.name)
