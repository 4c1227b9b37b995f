"""One action on the ticked jobs or on all that match: asked with a count and a sample, then done and accounted for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from container_manager import bulk
from container_manager.admin.jobs.listing import LABELS, read_filter
from container_manager.admin.jobs.tabs import scope_of
from container_manager.admin.pages import page
from container_manager.bulk import CAP, Action, BulkResult
from container_manager.describing import short_id, title
from container_manager.exceptions import JobValidationError
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import Status
from container_manager.visibility import visible_jobs
from container_manager.wording import cut

SAMPLE: Final = 10
REASONS: Final = 10
"""Different reasons for skipping that are told apart."""
_AT_ONCE: Final = frozenset({Action.QUEUE, Action.RETRY, Action.DEQUEUE})
"""For one job these need no question: each can be undone."""


@dataclass(frozen=True, slots=True)
class Sample:
    id: UUID
    short_id: str
    title: str
    status: Status


def bulk_page(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """The question, or, with ``confirmed``, the list again with what was done. 403 without the action's permission."""
    back = reverse("admin:container_manager_containerjob_changelist", current_app=model_admin.admin_site.name)
    back = f"{back}?{request.GET.urlencode()}" if request.GET else back
    if request.method != "POST":
        return HttpResponseRedirect(back)
    if request.POST.get("action") not in list(Action):
        messages.warning(request, _("Choose what to do."))
        return HttpResponseRedirect(back)
    action = Action(request.POST["action"])
    if not request.user.has_perm(action.permission):
        raise PermissionDenied(f"You need the permission {action.permission}.")
    try:
        ticked = [UUID(value) for value in request.POST.getlist("jobs")]
        until = UUID(request.POST["until"]) if request.POST.get("until") else None
        is_matching = request.POST.get("scope") == "matching"
        jobs = _matching(request, action, until) if is_matching else visible_jobs(request.user).filter(pk__in=ticked)
    except (JobValidationError, ValueError):
        return HttpResponseBadRequest("The filter or a job's id is wrong; go back and load the list again.")
    is_single = len(ticked) == 1 and "single" in request.POST
    if is_single:
        back = reverse(
            "admin:container_manager_containerjob_change", args=ticked, current_app=model_admin.admin_site.name
        )
    if "confirmed" in request.POST or (is_single and action in _AT_ONCE):
        return _done(request, action, jobs, back)
    return _question(model_admin, request, action, jobs, back)


def _matching(request: HttpRequest, action: Action, until: UUID | None) -> JobQuerySet:
    """Up to the newest that was there when it was asked, so that what is done is what was confirmed."""
    criteria = read_filter(request.GET)
    scope = scope_of(criteria, visible_jobs(request.user), everything="everything" in request.GET)
    jobs = scope.within({Status(value) for value in criteria.status or Status} & action.sources)
    return jobs if until is None else jobs.filter(pk__lte=until)


def _question(
    model_admin: ModelAdmin, request: HttpRequest, action: Action, jobs: JobQuerySet, back: str
) -> HttpResponse:
    count = jobs.order_by().values("pk")[: CAP + 1].count()
    if count == 0:
        messages.warning(
            request,
            _("Tick at least one job.") if request.POST.get("scope") != "matching"
            else _("%(action)s: no job that matches allows it.") % {"action": LABELS[action]},
        )  # fmt: skip
        return HttpResponseRedirect(back)
    newest = jobs.order_by("-pk").values_list("pk", flat=True).first()
    sample = jobs.order_by("pk").only("id", "name", "command", "image", "status")[:SAMPLE]
    shown = [Sample(job.pk, short_id(job.pk), cut(title(job), 100), Status(job.status)) for job in sample]
    context = {
        "title": _("Are you sure?"),
        "action": action,
        "label": LABELS[action],
        "count": min(count, CAP),
        "is_capped": count > CAP,
        "sample": shown,
        "more": min(count, CAP) - len(shown),
        "unfit": jobs.exclude(status__in=action.sources).count() if count <= CAP else 0,
        "until": newest,
        "back": back,
        "kept": [
            (name, value)
            for name in ("action", "scope", "single", "jobs")
            for value in request.POST.getlist(name)
        ],
        "asks_priority": action is Action.SET_PRIORITY,
        "is_dangerous": action in (Action.DELETE, Action.CANCEL),
    }  # fmt: skip
    return page(model_admin, request, "jobs/bulk.html", context)


def _done(request: HttpRequest, action: Action, jobs: JobQuerySet, back: str) -> HttpResponse:
    text = request.POST.get("priority", "")
    priority = int(text) if text.isascii() and text.isdigit() else None
    try:
        result = bulk.apply(action, jobs, actor=request.user.get_username(), priority=priority)
    except JobValidationError as error:
        messages.error(request, " ".join(error.messages))
        return HttpResponseRedirect(back)
    if action is Action.DELETE:
        _log_deletions(request, result.done)
        if "single" in request.POST and result.done:
            back = reverse("admin:container_manager_containerjob_changelist")
    _tell(request, result)
    return HttpResponseRedirect(back)


def _tell(request: HttpRequest, result: BulkResult) -> None:
    label, done = LABELS[result.action], len(result.done)
    said = ngettext("%(label)s: %(count)s job done.", "%(label)s: %(count)s jobs done.", done)
    level = messages.SUCCESS if done else messages.WARNING
    messages.add_message(request, level, said % {"label": label, "count": f"{done:,}"})
    reasons = result.reasons()
    for reason, count in reasons[:REASONS]:
        skipped = ngettext("%(count)s job was skipped: %(reason)s", "%(count)s jobs were skipped: %(reason)s", count)
        messages.warning(request, skipped % {"count": f"{count:,}", "reason": reason})
    if len(reasons) > REASONS:
        rest = sum(count for _, count in reasons[REASONS:])
        messages.warning(request, _("%(count)s more were skipped for other reasons.") % {"count": f"{rest:,}"})
    if result.is_capped:
        messages.warning(request, _("That is the most at once; there are more: do it again."))


def _log_deletions(request: HttpRequest, ids: Iterable[UUID]) -> None:
    """A deleted job's own events are gone with it."""
    kind = ContentType.objects.get_for_model(ContainerJob)
    user = str(request.user.pk)
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=user, content_type=kind, object_id=str(job_id), object_repr=str(job_id),
            action_flag=DELETION,
        )
        for job_id in ids
    )  # fmt: skip
