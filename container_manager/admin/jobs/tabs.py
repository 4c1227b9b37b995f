"""The state tabs of the job list: counts that follow the other filters, none of them a full count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from django.db.models import Count
from django.http import QueryDict

from container_manager.admin.jobs.addresses import changed
from container_manager.filtering import JobFilter
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import Status

COUNTED: Final = 1_000
"""Counted no further: from there on a number is a size, not a count."""
WINDOW: Final = 50_000
"""With a filter that no index serves, so many of the newest jobs are looked at."""


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
    only the newest were looked at.
    """

    jobs: JobQuerySet
    is_indexed: bool = False
    is_windowed: bool = False


def scope_of(criteria: JobFilter, jobs: JobQuerySet, *, everything: bool) -> Scope:
    """Of ``jobs``, those that the user may see. ``everything``: however long it takes."""
    others = replace(criteria, status=())
    matching = others.apply(jobs)
    # What ended lately, and what is in a batch, is bounded by an index.
    if others.is_empty or others.finished_after is not None or others.batch:
        return Scope(matching, is_indexed=True)
    if everything:
        return Scope(matching)
    floor = jobs.order_by("-id").values_list("id", flat=True)[WINDOW : WINDOW + 1].first()
    if floor is None:
        return Scope(matching)
    return Scope(matching.filter(id__gt=floor), is_windowed=True)


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
    counted = {status: scope.jobs.filter(status=status).order_by().values("pk")[: COUNTED + 1] for status in Status}
    return {status: rows.count() for status, rows in counted.items()}
