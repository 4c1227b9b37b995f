"""One page of handler calls in one state, along the index of that state; counts stop at a cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import QueryDict

from container_manager import conf
from container_manager.admin.paging import SIZE, page_of
from container_manager.describing import short_id, title
from container_manager.models import ContainerJob, HandlerCall
from container_manager.visibility import visible_jobs
from container_manager.wording import cut, printable

COUNTED: Final = 1_000
"""Counted no further."""
State = HandlerCall.State
_ORDER: Final = {
    State.FAILED: ("-finished_at", "-id"),
    State.WAITING: ("next_try_at", "id"),
    State.DELIVERED: ("-finished_at", "-id"),
}
"""What somebody should look at comes first."""
TONES: Final = {State.FAILED: "bad", State.WAITING: "warn", State.DELIVERED: "good"}


@dataclass(frozen=True, slots=True)
class ShownCall:
    call: HandlerCall

    @property
    def tone(self) -> str:
        return TONES[State(self.call.state)]

    @property
    def about(self) -> str:
        """The job by its name, else the queue or the batch."""
        if self.call.job_id is None:
            return self.call.subject
        job = self.call.job
        return (cut(printable(title(job)), 60) if job else "") or short_id(self.call.job_id)

    @property
    def error(self) -> str:
        return cut(self.call.error_line, 200)

    @property
    def is_told_now(self) -> bool:
        return self.call.worker is not None


@dataclass(frozen=True, slots=True)
class Tab:
    state: str
    label: str
    count: int
    is_here: bool

    @property
    def tone(self) -> str:
        return TONES[State(self.state)]

    @property
    def text(self) -> str:
        return f"{COUNTED:,}+" if self.count > COUNTED else f"{self.count:,}"


@dataclass(frozen=True, slots=True)
class Listing:
    """What ``handlers/listing.html`` shows."""

    tabs: Sequence[Tab]
    state: str
    calls: Sequence[ShownCall]
    number: int
    has_older: bool
    job: str
    most_tries: int


def visible_calls(user: Any, using: str) -> QuerySet[HandlerCall]:
    """The calls about jobs that ``user`` may see, and about no job."""
    calls = HandlerCall.objects.using(using)
    if not conf.get("VISIBLE_JOBS"):
        return calls.all()
    return calls.filter(Q(job__isnull=True) | Q(job__in=visible_jobs(user)))


def read_listing(calls: QuerySet[HandlerCall], query: QueryDict) -> Listing:
    """The page that ``query`` names by ``state``, ``page`` and ``job``; what is wrong there is passed over."""
    job = _uuid(query.get("job", ""))
    if job is not None:
        calls = calls.filter(job_id=job)
    counts = {state: _states(calls, state).order_by().values("pk")[: COUNTED + 1].count() for state in _ORDER}
    asked = query.get("state", "")
    first = next((state for state in _ORDER if counts[state]), State.FAILED)
    state = State(asked) if asked in State.values else first
    found = page_of(with_titles(_states(calls, state).order_by(*_ORDER[state])), query.get("page", ""))
    return Listing(
        tabs=[Tab(each.value, str(each.label).capitalize(), counts[each], each is state) for each in _ORDER],
        state=state.value,
        calls=[ShownCall(call) for call in found.rows],
        number=found.number,
        has_older=found.has_older,
        job=str(job or ""),
        most_tries=conf.get("HANDLER_MAX_TRIES"),
    )


def with_titles(calls: QuerySet[HandlerCall]) -> QuerySet[HandlerCall]:
    """Each with what its job is called."""
    own = [field.name for field in HandlerCall._meta.concrete_fields]
    return calls.select_related("job").only(*own, "job__name", "job__command", "job__image")


def calls_of_job(job: ContainerJob, calls: QuerySet[HandlerCall]) -> list[ShownCall]:
    return [ShownCall(call) for call in with_titles(calls.filter(job_id=job.pk)).order_by("-id")[:SIZE]]


def _states(calls: QuerySet[HandlerCall], state: HandlerCall.State) -> QuerySet[HandlerCall]:
    # What waits is known by its next try too, and that is the smaller index.
    return calls.filter(next_try_at__isnull=False) if state is State.WAITING else calls.filter(state=state)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
