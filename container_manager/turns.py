"""
Whose turn it is: limited jobs wait in lines, and become ready while their lanes have room.

The claim knows nothing of limits: it sees ready jobs only. Tenants of one queue take turns: only
the one with the fewest jobs launching and running, and of several the one that has waited longest
since it was served, has ready jobs. A tenant that is alone gets a window of them, which wait
again as soon as another comes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from container_manager import lanes
from container_manager.lanes import LimitOf
from container_manager.models import ContainerJob, JobBatch, Place
from container_manager.models.job_queryset import JobQuerySet
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.sql.indexes import Literal
from container_manager.states import Hold, Status

WINDOW: Final = 100
"""Most ready jobs of a tenant that has a queue to itself, and most that one look makes ready of any line."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Waiting jobs that have the same lanes."""

    key: str
    queue: str
    tenant: str
    limits: tuple[LimitOf, ...]
    queued_at: datetime
    """Of its first job."""


def admit(using: str, *, patience: int = 0) -> None:
    """
    Waiting jobs whose turn it is are ready, and places that were left are free.

    Safe with any number of workers. ``patience``: how many more tenants may have a ready job, where
    what is ready fits nowhere.
    """
    retry_on_conflict(lambda: _admit(using, patience))


def take_place(job_id: UUID, using: str) -> str:
    """A queued job is ready, with its place, whatever held it; or the limit that is reached, in words."""
    if not _homeless(job_id, using).exists():
        return ""
    return retry_on_conflict(lambda: _take_place(job_id, using))


def _take_place(job_id: UUID, using: str) -> str:
    with lanes.locked(using):
        lanes.release_left(using)
        job = _homeless(job_id, using).select_related("batch").first()
        if job is None:
            return ""
        limits = lanes.limits_of(job.queue, job.tenant, job.definition, job.batch)
        taken = lanes.counts([limit.lane for limit in limits], using)
        for lane, limit in limits:
            if limit is not None and taken[lane] >= limit:
                return f"The limit of {lane} is reached: {taken[lane]} of {limit} are on their way."
        lanes.take({job.pk: limits}, using, holds=list(Hold))
    return ""


def _homeless(job_id: UUID, using: str) -> JobQuerySet:
    jobs = JobQuerySet(ContainerJob, using=using).filter(pk=job_id, status=Status.QUEUED)
    return jobs.exclude(line="").exclude(place__isnull=False, hold=Hold.NONE)


def waiting(using: str) -> JobQuerySet:
    """Jobs that a limit holds, in the order of their index."""
    jobs = JobQuerySet(ContainerJob, using=using)
    held = jobs.filter(status=Literal(Status.QUEUED), hold=Literal(Hold.LIMIT))
    return held.order_by("line", "-priority", "queued_at", "id")


def _admit(using: str, patience: int) -> None:
    with lanes.locked(using):
        lanes.release_left(using)
        lines = _lines(using)
        ready = _ready(using)
        queues = {line.queue for line in lines} | {queue for queue, _ in ready}
        names = {limit.lane for line in lines for limit in line.limits}
        names |= {lanes.turn_lane(queue, tenant) for queue, tenant in ready}
        admission = _Admission(using, lanes.counts(names, using), patience)
        for queue in sorted(queues):
            own = [line for line in lines if line.queue == queue]
            admission.admit_from([line for line in own if not line.tenant], WINDOW)
            admission.take_turns(
                queue,
                [line for line in own if line.tenant],
                {tenant: jobs for (of, tenant), jobs in ready.items() if of == queue},
            )


def _lines(using: str) -> list[_Line]:
    """The lines in which jobs wait, by jumps through their index: one look for each, however long it is."""
    columns = ("line", "queue", "tenant", "definition", "batch_id", "queued_at")
    heads = waiting(using).values_list(*columns)
    found: list[tuple[Any, ...]] = []
    while row := heads.filter(line__gt=found[-1][0] if found else "").first():
        found.append(row)
    batches = JobBatch.objects.using(using).in_bulk([row[4] for row in found if row[4]])
    return [
        _Line(key, queue, tenant, tuple(lanes.limits_of(queue, tenant, definition, batches.get(batch))), queued_at)
        for key, queue, tenant, definition, batch, queued_at in found
    ]


def _ready(using: str) -> dict[tuple[str, str], list[tuple[UUID, datetime]]]:
    """Jobs with a place that nobody has claimed, by queue and tenant, in the order of the claim."""
    rows = Place.objects.using(using).filter(job__status=Status.QUEUED, job__hold=Hold.NONE).exclude(tenant="")
    in_order = rows.order_by("-job__priority", "job__queued_at", "pk")
    found: defaultdict[tuple[str, str], list[tuple[UUID, datetime]]] = defaultdict(list)
    for queue, tenant, pk, queued_at in in_order.values_list("queue", "tenant", "pk", "job__queued_at"):
        if queued_at is not None:
            found[queue, tenant].append((pk, queued_at))
    return found


class _Admission:
    """One look, under the lock: ``taken`` is what the counters say while it goes on."""

    def __init__(self, using: str, taken: Counter[str], patience: int) -> None:
        self._using, self._taken, self._patience = using, taken, patience

    def take_turns(self, queue: str, lines: list[_Line], ready: dict[str, list[tuple[UUID, datetime]]]) -> None:
        """The tenants of one queue have as many ready jobs as their turn allows."""
        asking = [line for line in lines if self._room(line) > 0]
        active = {
            tenant: self._taken[lanes.turn_lane(queue, tenant)] - len(ready.get(tenant, ()))
            for tenant in {*(line.tenant for line in asking), *ready}
        }
        allowed = dict.fromkeys(active, WINDOW)
        if len(active) > 1:
            order = self._order(queue, active, asking, ready)
            allowed = {tenant: int(place <= self._patience) for place, tenant in enumerate(order)}
            # As many as still leave it the one with the fewest.
            allowed[order[0]] = max(1, active[order[1]] - active[order[0]])
        for tenant, jobs in ready.items():
            self._hold_again(queue, tenant, [pk for pk, _ in jobs[allowed[tenant] :]])
        for tenant in active:
            own = [line for line in lines if line.tenant == tenant]
            self.admit_from(own, allowed[tenant] - len(ready.get(tenant, ())))

    def _order(
        self,
        queue: str,
        active: dict[str, int],
        asking: list[_Line],
        ready: dict[str, list[tuple[UUID, datetime]]],
    ) -> list[str]:
        """The tenants, the next one first."""
        served = lanes.served([lanes.turn_lane(queue, tenant) for tenant in active], self._using)
        asked: dict[str, datetime] = {}
        heads = [(line.tenant, line.queued_at) for line in asking]
        heads += [(tenant, queued_at) for tenant, jobs in ready.items() for _, queued_at in jobs]
        for tenant, queued_at in heads:
            asked[tenant] = min(queued_at, asked.get(tenant, queued_at))
        waits_since = {
            tenant: max(asked[tenant], served.get(lanes.turn_lane(queue, tenant), asked[tenant])) for tenant in active
        }
        return sorted(active, key=lambda tenant: (active[tenant], waits_since[tenant], tenant))

    def admit_from(self, lines: Iterable[_Line], most: int) -> None:
        """The first jobs of ``lines`` are ready, best first, as far as their lanes have room; at most ``most``."""
        candidates: list[tuple[int, Any, UUID, _Line]] = []
        for line in lines:
            count = min(most, self._room(line))
            rows = waiting(self._using).filter(line=line.key).in_order().values_list("priority", "queued_at", "pk")
            candidates += [(-priority, queued_at, pk, line) for priority, queued_at, pk in rows[: max(0, count)]]
        chosen: dict[UUID, tuple[LimitOf, ...]] = {}
        for _, _, pk, line in sorted(candidates, key=lambda candidate: candidate[:3]):
            if len(chosen) < most and self._room(line) > 0:
                chosen[pk] = line.limits
                self._taken.update(limit.lane for limit in line.limits)
        if chosen:
            taken = lanes.take(chosen, self._using)
            self._taken.subtract(limit.lane for pk in chosen.keys() - taken for limit in chosen[pk])

    def _hold_again(self, queue: str, tenant: str, jobs: list[UUID]) -> None:
        if jobs:
            back = lanes.hold_again(jobs, self._using)
            self._taken[lanes.turn_lane(queue, tenant)] -= len(back)

    def _room(self, line: _Line) -> int:
        return min([WINDOW, *(limit - self._taken[lane] for lane, limit in line.limits if limit is not None)])
