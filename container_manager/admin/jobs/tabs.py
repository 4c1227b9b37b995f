"""The state tabs of the job list: counts that follow the other filters, none of them a full count."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from django.db.models import Count, Q
from django.http import QueryDict

from container_manager.admin.jobs.addresses import changed
from container_manager.filtering import JobFilter
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import TERMINAL, Status

COUNTED: Final = 1_000
"""Counted no further: from there on a number is a size, not a count."""
WINDOW: Final = 50_000
"""With a filter that no index serves, so many of the newest jobs are looked at."""
WINDOW_OF_PERIOD: Final = 20_000
"""Likewise, so many in each state of those that ended in a period."""


@dataclass(frozen=True, slots=True)
class Tab:
    label: str
    status: str
    count: int
    address: str
    is_here: bool

    @property
    def text(self) -> str:
        return f"{COUNTED:,}+" if self.count > COUNTED else f"{self.count:,}"


@dataclass(frozen=True, slots=True)
class Scope:
    """
    The jobs that the filters mean, whatever their status.

    ``is_indexed``: what stands in a status is found without reading the others. ``is_windowed``:
    only the newest were looked at. ``ended_after``: by status, the moment from which on, where they are
    of a period. ``is_ended``: only jobs that have ended are meant.
    """

    jobs: JobQuerySet
    is_indexed: bool = False
    is_windowed: bool = False
    is_ended: bool = False
    ended_after: Mapping[Status, datetime] = field(default_factory=dict)

    @property
    def statuses(self) -> Collection[Status]:
        """Those in which any of the jobs can be."""
        return TERMINAL if self.is_ended else list(Status)

    def within(self, statuses: Collection[Status]) -> JobQuerySet:
        """The jobs in one of ``statuses``."""
        if not any(status in self.ended_after for status in statuses):
            return self.jobs.filter(status__in=statuses)
        meant = Q()
        for status in statuses:
            floor = self.ended_after.get(status)
            meant |= Q(status=status) if floor is None else Q(status=status, finished_at__gt=floor)
        return self.jobs.filter(meant)

    def of(self, status: Status) -> JobQuerySet:
        floor = self.ended_after.get(status)
        jobs = self.jobs.filter(status=status)
        return jobs if floor is None else jobs.filter(finished_at__gt=floor)


def scope_of(criteria: JobFilter, jobs: JobQuerySet, *, everything: bool) -> Scope:
    """Of ``jobs``, those that the user may see. ``everything``: however long it takes."""
    others = replace(criteria, status=())
    matching = others.apply(jobs)
    if others.finished_after is not None:
        return _of_period(others, jobs, matching, everything=everything)
    # What is in a batch is bounded by an index.
    if others.is_empty or others.batch:
        return Scope(matching, is_indexed=True)
    if everything:
        return Scope(matching)
    floor = jobs.order_by("-id").values_list("id", flat=True)[WINDOW : WINDOW + 1].first()
    if floor is None:
        return Scope(matching)
    return Scope(matching.filter(id__gt=floor), is_windowed=True)


def _of_period(criteria: JobFilter, jobs: JobQuerySet, matching: JobQuerySet, *, everything: bool) -> Scope:
    """What ended in a period is bounded by an index; what else is asked of it is looked up in the newest of it."""
    period = JobFilter(finished_after=criteria.finished_after, finished_before=criteria.finished_before)
    if everything or criteria == period:
        return Scope(matching, is_indexed=True, is_ended=True)
    floors = {}
    for status in TERMINAL:
        ended = period.apply(jobs).filter(status=status).order_by("-finished_at").values_list("finished_at", flat=True)
        if floor := ended[WINDOW_OF_PERIOD : WINDOW_OF_PERIOD + 1].first():
            floors[status] = floor
    return Scope(matching, is_indexed=True, is_windowed=bool(floors), is_ended=True, ended_after=floors)


def tabs(scope: Scope, here: Status | None, query: QueryDict) -> list[Tab]:
    """One tab per status, and one for all of them."""
    counts = _counts(scope)
    every = sum(counts.values())
    first = Tab("All", "", every, changed(query, status=None), here is None)
    return [
        first,
        *(
            Tab(
                str(status.label), status.value, counts.get(status, 0), changed(query, status=status.value),
                here == status,
            )
            for status in Status
        ),
    ]  # fmt: skip


def _counts(scope: Scope) -> Mapping[str, int]:
    if not scope.is_indexed:
        # One pass over what is looked at anyway.
        return dict(scope.jobs.order_by().values_list("status").annotate(count=Count("pk")))
    counted = {status: scope.of(status).order_by().values("pk")[: COUNTED + 1] for status in scope.statuses}
    return {status: rows.count() for status, rows in counted.items()}
