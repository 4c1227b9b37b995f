"""One job: what it is doing or why it waits, what may be done to it, its attempts, and a tab each for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _

from container_manager import conf
from container_manager.admin.handlers.listing import calls_of_job, visible_calls
from container_manager.admin.jobs.files_tab import file_groups, has_files
from container_manager.admin.jobs.listing import LABELS, allowed_actions
from container_manager.admin.jobs.specification import as_json, specification
from container_manager.admin.jobs.timeline import timeline
from container_manager.admin.logs.selecting import Wanted, read_excerpt
from container_manager.admin.permissions import may
from container_manager.bulk import Action
from container_manager.describing import command_text, run_time, short_id
from container_manager.models import ContainerJob, HandlerCall, JobAttempt, JobBatch, JobEvent
from container_manager.states import Status
from container_manager.waiting import why_it_waits

EVENTS: Final = 200
ATTEMPTS: Final = 50
SUMMARY: Final = "summary"
_TONES: Final = {
    Action.CANCEL: "cm-danger", Action.DELETE: "cm-danger", Action.RETRY: "cm-primary", Action.QUEUE: "cm-primary",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Button:
    action: str
    label: str
    tone: str


@dataclass(frozen=True, slots=True)
class ShownAttempt:
    row: JobAttempt

    @property
    def run_time(self) -> str:
        return run_time(self.row)

    @property
    def container(self) -> str:
        """The engine's own id, cut as the engine cuts it; a name of ours says nothing more than the row."""
        return "" if self.row.execution_id.startswith("cm-") else self.row.execution_id[:12]


def job_context(request: HttpRequest, job: ContainerJob, using: str, part: str = "") -> dict[str, Any]:
    """What ``jobs/job.html`` is given, or only its ``part``."""
    attempts = _attempts(job, using)
    tabs = _tabs(request, job, attempts, using)
    tab = request.GET.get("tab", "")
    tab = tab if tab in tabs else next(iter(tabs))
    context: dict[str, Any] = {
        "job": job,
        "short_id": short_id(job.pk),
        "attempts": attempts,
        "tab": tab,
        "tabs": tabs.items(),
        "may_read_output": may(request, "view_logs"),
    }
    if part in ("", SUMMARY):
        context |= _summary(request, job, using)
    if part != SUMMARY:
        context |= _TABS[tab](request, job, attempts, using)
    return context


def _attempts(job: ContainerJob, using: str) -> list[ShownAttempt]:
    rows = JobAttempt.objects.using(using).filter(job_id=job.pk).select_related("host").order_by("-number")
    return [ShownAttempt(row) for row in rows[:ATTEMPTS]] if job.attempt else []


def _summary(request: HttpRequest, job: ContainerJob, using: str) -> dict[str, Any]:
    return {
        "steps": list(timeline(job)),
        "waits": why_it_waits(job, using),
        "buttons": list(_buttons(request, job)),
        "command": command_text(job),
        "error": "" if job.error == f"Exit code {job.exit_code}." else job.error,
        "batch": JobBatch.objects.using(using).filter(pk=job.batch_id).first() if job.batch_id else None,
        "is_stopping": job.cancel_requested_at is not None and not job.is_finished,
    }


def _buttons(request: HttpRequest, job: ContainerJob) -> Iterator[Button]:
    """What this state allows and this user may; the server asks again when one is pressed."""
    may_retry = job.status == Status.FAILED and request.user.has_perm(Action.RETRY.permission)
    superseded = {Action.QUEUE} if may_retry else set()
    if job.cancel_requested_at is not None:
        superseded.add(Action.CANCEL)
    for action in allowed_actions(request):
        if job.status in action.sources and action not in superseded:
            yield Button(action.value, str(LABELS[action]), _TONES.get(action, ""))


def _tabs(request: HttpRequest, job: ContainerJob, attempts: list[ShownAttempt], using: str) -> dict[str, str]:
    """The first one is shown when the address names none."""
    has_calls = may(request, "view", HandlerCall) and HandlerCall.objects.using(using).filter(job_id=job.pk).exists()
    tabs = {
        "logs": _("Logs") if attempts and may(request, "view_logs") else "",
        "error": _("Error") if job.error or any(attempt.row.error for attempt in attempts) else "",
        "result": _("Result") if job.result is not None else "",
        "specification": _("Specification"),
        "files": _("Files") if has_files(job, using) else "",
        "events": _("Events"),
        "handlers": _("Handlers") if has_calls else "",
    }
    return {name: label for name, label in tabs.items() if label}


def chosen_attempt(request: HttpRequest, attempts: list[ShownAttempt]) -> JobAttempt | None:
    """The one that ``attempt`` of the address names, else the last."""
    rows = [attempt.row for attempt in attempts]
    wanted = [row for row in rows if str(row.number) == request.GET.get("attempt")]
    return next(iter(wanted or rows), None)


def _logs(request: HttpRequest, job: ContainerJob, attempts: list[ShownAttempt], using: str) -> dict[str, Any]:
    attempt = chosen_attempt(request, attempts)
    wanted = Wanted.read(request.GET.dict())
    return {
        "attempt": attempt,
        "wanted": wanted,
        "excerpt": read_excerpt(attempt, wanted) if attempt else None,
        "is_pruned": attempt is not None and bool(attempt.log_bytes) and not attempt.log_sequence,
    }


def _error(request: HttpRequest, job: ContainerJob, attempts: list[ShownAttempt], using: str) -> dict[str, Any]:
    may_read = may(request, "view_logs") and bool(attempts)
    last = read_excerpt(attempts[0].row, Wanted()).lines[-20:] if may_read else []
    return {"last_lines": last, "failed_attempts": [attempt for attempt in attempts if attempt.row.error]}


def _result(request: HttpRequest, job: ContainerJob, attempts: list[ShownAttempt], using: str) -> dict[str, Any]:
    return {"result": as_json(job.result)}


def _specification(request: HttpRequest, job: ContainerJob, attempts: list[ShownAttempt], using: str) -> dict[str, Any]:
    return {"facts": list(specification(job))}


def _events(request: HttpRequest, job: ContainerJob, attempts: list[ShownAttempt], using: str) -> dict[str, Any]:
    events = list(JobEvent.objects.using(using).filter(job_id=job.pk).order_by("-id")[: EVENTS + 1])
    workers = _workers({event.actor for event in events}, using)
    shown = [(event, workers.get(event.actor, event.actor)) for event in events[:EVENTS]]
    return {"events": shown, "has_more_events": len(events) > EVENTS}


def _files(request: HttpRequest, job: ContainerJob, attempts: list[ShownAttempt], using: str) -> dict[str, Any]:
    return {"file_groups": file_groups(job, using)}


def _handlers(request: HttpRequest, job: ContainerJob, attempts: list[ShownAttempt], using: str) -> dict[str, Any]:
    calls = calls_of_job(job, visible_calls(request.user, using))
    return {"calls": calls, "most_tries": conf.get("HANDLER_MAX_TRIES")}


def _workers(actors: set[str], using: str) -> dict[str, str]:
    """A worker's id as the workers' list shows it."""
    found: dict[str, str] = {}
    for actor in actors:
        try:
            found[actor] = _("worker %(id)s") % {"id": short_id(UUID(actor))}
        except ValueError:
            continue
    return found


_TABS: Final = {
    "logs": _logs, "error": _error, "result": _result, "specification": _specification, "events": _events,
    "files": _files, "handlers": _handlers,
}  # fmt: skip
