"""What somebody should look at, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from container_manager.admin.dashboard.failures import Failure, recent_failures
from container_manager.admin.dashboard.queues import Waiting, waiting
from container_manager.models import ExecutorHost, HandlerCall, Installation, Worker
from container_manager.waiting import why_it_waits
from container_manager.wording import cut, printable

PATIENCE: Final = timedelta(minutes=1)
"""A job that has been ready for longer is worth a line."""
SHOWN: Final = 3
CALLS_LOOKED_AT: Final = 500
"""The most recent calls of handlers that were given up."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line: what it is, since or how long, and what it leads to."""

    tone: str
    title: str
    detail: str = ""
    at: datetime | None = None
    failure: Failure | None = None
    job: UUID | None = None
    host: int | None = None
    to_workers: bool = False
    to_handlers: bool = False


def items(using: str, now: datetime, *, with_hosts: bool, with_workers: bool, with_handlers: bool) -> list[Item]:
    """All that needs attention, of what the user may see; empty = nothing does."""
    found = [*_copy(using)]
    if with_hosts:
        found += _hosts(using)
    if with_workers:
        found += _workers(using)
    found += _failures(using, now)
    if with_handlers:
        found += _handlers(using)
    return [*found, *_waiting(using, now)]


def _copy(using: str) -> Iterator[Item]:
    installation = Installation.objects.using(using).first()
    if installation and not installation.is_in_place(using):
        yield Item(
            "bad",
            _("This database is a copy of another"),
            _("Nothing is rescued or swept until you say which it is: manage.py containers installation."),
        )


def _hosts(using: str) -> Iterator[Item]:
    for host in ExecutorHost.objects.using(using).filter(is_active=True).exclude(health_error=""):
        title = _("Host %(host)s is down") % {"host": host.name}
        yield Item("bad", title, host.health_error, at=host.checked_at, host=host.pk)


def _workers(using: str) -> Iterator[Item]:
    workers = Worker.objects.using(using).filter(kind=Worker.Kind.WORKER)
    alive = set(workers.alive().values_list("pk", flat=True))
    for worker in workers.order_by("-heartbeat_at"):
        if worker.pk not in alive:
            title = _("Worker %(node)s:%(process)d stopped beating")
            parameters = {"node": worker.node, "process": worker.process_id}
            yield Item("bad", title % parameters, at=worker.heartbeat_at, to_workers=True)
    if not alive:
        yield Item("warn", _("No worker runs"), _("Jobs wait. Start one: manage.py containers worker"), to_workers=True)


def _failures(using: str, now: datetime) -> Iterator[Item]:
    for failure in recent_failures(using, now):
        count = ngettext("%(count)d job", "%(count)d jobs", failure.count) % {"count": failure.count}
        title = _("%(jobs)s failed: %(error)s") % {"jobs": count, "error": failure.error or _("no error was kept")}
        yield Item("bad", title, failure.jobs, at=failure.latest_at, failure=failure, job=failure.latest)


def _handlers(using: str) -> Iterator[Item]:
    """Calls that were given up stay until somebody retries or deletes them."""
    failed = HandlerCall.objects.using(using).filter(state=HandlerCall.State.FAILED)
    rows = list(failed.order_by("-finished_at", "-id").only("handler", "finished_at", "last_error")[:CALLS_LOOKED_AT])
    for handler, count in Counter(call.handler for call in rows).most_common(SHOWN):
        latest = next(call for call in rows if call.handler == handler)
        title = ngettext(
            "%(count)d call of %(handler)s was given up", "%(count)d calls of %(handler)s were given up", count
        )
        parameters = {"count": count, "handler": handler}
        yield Item(
            "bad", title % parameters, cut(printable(latest.error_line), 200), at=latest.finished_at, to_handlers=True
        )


def _waiting(using: str, now: datetime) -> Iterator[Item]:
    longest: Sequence[Waiting] = sorted(waiting(using), key=lambda row: row.since)
    for row in longest[:SHOWN]:
        if now - row.since < PATIENCE:
            return
        name = row.oldest.name or str(row.oldest.pk)
        title = _("%(job)s waits in queue %(queue)s") % {"job": name, "queue": row.queue}
        yield Item("warn", title, why_it_waits(row.oldest, using), at=row.since, job=row.oldest.pk)
