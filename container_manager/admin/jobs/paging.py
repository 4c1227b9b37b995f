"""One page of the job list, by keyset: as quick on the last page as on the first, at any number of jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connections
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import TERMINAL, Status

SIZE: Final = 50


@dataclass(frozen=True, slots=True)
class Key:
    """Where a row stands in the order: by its end among jobs of one terminal status, else by its id."""

    id: UUID
    finished_at: datetime | None = None

    @classmethod
    def read(cls, text: str) -> Key | None:
        """``None`` for anything that is no key of ours: then the first page is shown."""
        identifier, _, moment = text.partition("@")
        try:
            key = cls(UUID(identifier), parse_datetime(moment) if moment else None)
        except ValueError:
            return None
        is_wrong = moment and (key.finished_at is None or timezone.is_naive(key.finished_at))
        return None if is_wrong else key

    def __str__(self) -> str:
        return f"{self.id}@{self.finished_at.isoformat()}" if self.finished_at else str(self.id)


@dataclass(frozen=True, slots=True)
class JobPage:
    jobs: list[ContainerJob]
    newer: Key | None = None
    """After which the newer ones stand; ``None`` = this is the first page."""
    older: Key | None = None


def read_page(jobs: JobQuerySet, status: Status | None, query: QueryDict) -> JobPage:
    """
    The page that ``before`` or ``after`` of ``query`` names, newest first.

    The order is that of an index: of ``cm_job_history`` for one status, else of the primary key.
    """
    by_end = status in TERMINAL
    if status is not None and not by_end:
        jobs = jobs.filter(finished_at__isnull=True)
    columns = _order(jobs, status)
    before, after = (_read_key(query.get(name, ""), by_end=by_end) for name in ("before", "after"))
    if after is not None:
        rows = list(_beyond(jobs, after, "gt", by_end=by_end).order_by(*columns)[: SIZE + 1])
        if len(rows) > SIZE:
            shown = rows[:SIZE][::-1]
            return JobPage(shown, newer=_key(shown[0], by_end=by_end), older=_key(shown[-1], by_end=by_end))
        before = None  # the first page again, full
    found = jobs if before is None else _beyond(jobs, before, "lt", by_end=by_end)
    rows = list(found.order_by(*(f"-{column}" for column in columns))[: SIZE + 1])
    shown = rows[:SIZE]
    newer = _key(shown[0], by_end=by_end) if before is not None and shown else None
    older = _key(shown[-1], by_end=by_end) if len(rows) > SIZE else None
    return JobPage(shown, newer, older)


def _order(jobs: JobQuerySet, status: Status | None) -> tuple[str, ...]:
    # Where a job has not ended finished_at is null, which orders nothing. PostgreSQL knows the index to be in
    # order only by all of its columns, MariaDB sorts anew when a null one is among them.
    is_named = status in TERMINAL or (status is not None and connections[jobs.db].vendor == "postgresql")
    return ("finished_at", "id") if is_named else ("id",)


def _read_key(text: str, *, by_end: bool) -> Key | None:
    key = Key.read(text)
    return None if key is None or (key.finished_at is None) is by_end else key


def _key(job: ContainerJob, *, by_end: bool) -> Key:
    return Key(job.pk, job.finished_at if by_end else None)


def _beyond(jobs: JobQuerySet, key: Key, lookup: str, *, by_end: bool) -> JobQuerySet:
    if not by_end:
        return jobs.filter(**{f"id__{lookup}": key.id})
    later = Q(**{f"finished_at__{lookup}": key.finished_at})
    tied = Q(**{"finished_at": key.finished_at, f"id__{lookup}": key.id})
    # The first condition alone bounds the index; the second only sorts out what is tied.
    return jobs.filter(**{f"finished_at__{lookup}e": key.finished_at}).filter(later | tied)
