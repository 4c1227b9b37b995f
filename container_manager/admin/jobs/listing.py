"""The job list: filters, tabs and one page, all of it in the address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import F
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

from container_manager import registry
from container_manager.admin.dashboard.fleet import Capacity
from container_manager.admin.jobs.addresses import changed, less
from container_manager.admin.jobs.paging import JobPage, read_page
from container_manager.admin.jobs.tabs import WINDOW, WINDOW_OF_PERIOD, Scope, Tab, scope_of, tabs
from container_manager.admin.permissions import may
from container_manager.bulk import Action
from container_manager.describing import command_text, result_text, short_id, title
from container_manager.exceptions import JobValidationError
from container_manager.filtering import JobFilter, moment, parse
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import Outcome, Status
from container_manager.visibility import visible_jobs
from container_manager.wording import cut

SHOWN: Final = (
    "id", "name", "command", "image", "status", "hold", "queue", "priority", "attempt", "exit_code", "outcome",
    "error", "created_at", "queued_at", "started_at", "finished_at", "cancel_requested_at",
    "progress", "progress_text",
)  # fmt: skip
CRITERIA: Final = {
    "search": "Search", "queue": "Queue", "host": "Host", "worker": "Worker", "outcome": "Outcome",
    "exit_code": "Exit code", "label": "Label", "definition": "Definition", "tenant": "Tenant", "batch": "Batch",
    "error": "Error",
    "created_after": "Created from", "created_before": "Created before", "finished_after": "Finished from",
    "finished_before": "Finished before",
}  # fmt: skip
"""What a filter is called where it is shown."""
LABELS: Final = {
    Action.QUEUE: "Queue", Action.RETRY: "Retry", Action.CANCEL: "Cancel", Action.DEQUEUE: "Take out of the queue",
    Action.SET_PRIORITY: "Set the priority", Action.DELETE: "Delete",
}  # fmt: skip
LIKELY: Final = {
    Status.PENDING: Action.QUEUE, Status.QUEUED: Action.CANCEL, Status.LAUNCHING: Action.CANCEL,
    Status.RUNNING: Action.CANCEL, Status.FAILED: Action.RETRY, Status.COMPLETED: Action.DELETE,
    Status.CANCELLED: Action.DELETE,
}  # fmt: skip
"""What one most likely wants to do with jobs of a tab."""


@dataclass(frozen=True, slots=True)
class Row:
    job: ContainerJob
    host: str

    @property
    def short_id(self) -> str:
        return short_id(self.job.pk)

    @property
    def title(self) -> str:
        return self.job.name or cut(title(self.job), 200) or self.short_id

    @property
    def command(self) -> str:
        """Where the name is the title."""
        return cut(command_text(self.job) or self.job.image, 200) if self.job.name else self.job.image

    @property
    def result(self) -> str:
        return result_text(self.job.exit_code, self.job.outcome)

    @property
    def error(self) -> str:
        return cut(self.job.error.strip().splitlines()[0], 100) if self.job.error.strip() else ""

    @property
    def progress(self) -> Capacity | None:
        """Of a job that runs and says how far it is."""
        is_told = self.job.progress is not None and self.job.status == Status.RUNNING
        return Capacity(self.job.progress or 0, 100) if is_told else None

    @property
    def run_seconds(self) -> float | None:
        if self.job.started_at is None:
            return None
        return max(0.0, ((self.job.finished_at or timezone.now()) - self.job.started_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on, and the address without it."""

    name: str
    value: str
    address: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What ``jobs/listing.html`` shows."""

    query: QueryDict
    status: Status | None
    scope: Scope
    tabs: list[Tab]
    page: JobPage
    rows: list[Row]
    actions: list[tuple[str, str]]
    problems: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"?{self.query.urlencode()}"

    @property
    def newer(self) -> str:
        return changed(self.query, after=str(self.page.newer)) if self.page.newer else ""

    @property
    def older(self) -> str:
        return changed(self.query, before=str(self.page.older)) if self.page.older else ""

    @property
    def newest(self) -> str:
        return changed(self.query) if self.page.newer else ""

    @property
    def everything(self) -> str:
        return changed(self.query, everything="1") if self.scope.is_windowed else ""

    @property
    def looked_at(self) -> str:
        """How many of the newest, where it was not all of them."""
        if self.scope.ended_after:
            return _("the newest %(count)s of each state") % {"count": f"{WINDOW_OF_PERIOD:,}"}
        return _("the newest %(count)s jobs") % {"count": f"{WINDOW:,}"}

    @property
    def chips(self) -> Iterator[Chip]:
        for name, words in CRITERIA.items():
            for value in self.query.getlist(name):
                if value.strip():
                    yield Chip(words, value, less(self.query, name, value))

    @property
    def cleared(self) -> str:
        return changed(self.query, without=CRITERIA, everything=None)

    @property
    def likely(self) -> str:
        return LIKELY[self.status].value if self.status else ""


def read_filter(query: QueryDict) -> JobFilter:
    """``JobValidationError`` names each criterion that is wrong."""
    return parse({name: [str(value) for value in values] for name, values in query.lists()})


def read_listing(request: HttpRequest, using: str) -> Listing:
    """What the request's address asks for. A wrong filter shows nothing, lest it seem to have matched."""
    problems: Mapping[str, Sequence[str]] = {}
    try:
        criteria = read_filter(request.GET)
    except JobValidationError as error:
        problems, criteria = error.message_dict, JobFilter()
    statuses = list(criteria.status)
    status = Status(statuses[0]) if len(statuses) == 1 else None
    visible = visible_jobs(request.user)
    scope = Scope(visible.none()) if problems else scope_of(criteria, visible, everything="everything" in request.GET)
    jobs = scope.within([Status(value) for value in statuses]) if statuses else scope.jobs
    if status is not None:
        jobs = scope.of(status)
    elif scope.ended_after and not statuses:
        jobs = scope.within(scope.statuses)
    page = read_page(jobs.only(*SHOWN), status, request.GET)
    return Listing(
        query=request.GET,
        status=status,
        scope=scope,
        tabs=tabs(scope, status, request.GET),
        page=page,
        rows=_rows(page.jobs, using),
        actions=[(action.value, LABELS[action]) for action in allowed_actions(request)],
        problems={CRITERIA.get(name, name): messages for name, messages in problems.items()},
    )


def allowed_actions(request: HttpRequest) -> list[Action]:
    return [action for action in Action if request.user.has_perm(action.permission)]


def choices(request: HttpRequest, using: str) -> dict[str, Any]:
    """What the filter form offers: small tables only, never a distinct over the jobs."""
    hosts = list(ExecutorHost.objects.using(using).order_by("name").only("name", "queues"))
    queues = sorted({"default", *(queue for host in hosts for queue in host.queues)})
    return {
        "queues": queues,
        "hosts": [host.name for host in hosts],
        "outcomes": Outcome.choices,
        "definitions": list(registry.all_definitions()),
        "given": {name: _given(request.GET, name) for name in CRITERIA},
        "may_add": may(request, "add"),
        "may_run": may(request, "launch") and may(request, "add") and bool(registry.all_definitions()),
    }


def _given(query: QueryDict, name: str) -> str:
    """As its input shows it: a browser takes a date and time without a zone only."""
    text = str(query.get(name, ""))
    if not name.endswith(("_after", "_before")) or not text:
        return text
    try:
        return f"{timezone.localtime(moment(text)):%Y-%m-%dT%H:%M:%S}"
    except ValueError:
        return ""


def _rows(jobs: Sequence[ContainerJob], using: str) -> list[Row]:
    """With the host of each one's last attempt: one query for the page."""
    ids = [job.pk for job in jobs if job.attempt]
    last = JobAttempt.objects.using(using).filter(job_id__in=ids, number=F("job__attempt"))
    hosts = dict(last.order_by().values_list("job_id", "host__name")) if ids else {}
    return [Row(job, hosts.get(job.pk, "")) for job in jobs]
