"""The failures of the last hour, those with the same error together."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models.functions import Substr

from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.states import Status
from container_manager.wording import cut, iso, printable

LOOKED_AT: Final = 2_000
"""The most recent ones; more are counted by the chart."""
SHOWN: Final = 5
ERROR_LENGTH: Final = 300
DISTINCTIVE: Final = 8
"""Characters that a search needs."""
_VARYING: Final = re.compile(
    r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|0x[0-9a-f]+|[0-9a-f]{12,}|\d+(?:[.:]\d+)+|\d{3,})\b",
    re.IGNORECASE,
)
"""Ids, addresses and large numbers: what differs between two errors that are the same."""


@dataclass(slots=True)
class Failure:
    """One error: how often, of which jobs, and the latest of them."""

    error: str
    latest: UUID
    latest_at: datetime
    since: datetime
    is_exact: bool
    """Whether ``error`` is the whole text of all of them."""
    count: int = 0
    names: Counter[str] = field(default_factory=Counter)

    @property
    def query(self) -> str:
        """Of the list of these jobs; where the errors differ a little, of those that begin alike."""
        criteria = {"status": Status.FAILED.value, "finished_after": iso(self.since)}
        start = _VARYING.split(self.error)[0].strip()
        if self.is_exact:
            criteria["error"] = self.error
        elif len(start) >= DISTINCTIVE:
            criteria["search"] = start
        return urlencode(criteria)

    @property
    def jobs(self) -> str:
        shown = ", ".join(cut(printable(name), 40) for name, _ in self.names.most_common(3))
        return f"{shown}, …" if len(self.names) > 3 else shown


def recent_failures(using: str, now: datetime) -> list[Failure]:
    """The most frequent errors of the last hour, the most frequent first: one query along the index of the history."""
    since = now - timedelta(hours=1)
    jobs = JobQuerySet(ContainerJob, using=using).filter(status=Status.FAILED, finished_at__gte=since)
    rows = jobs.order_by("-finished_at", "-id").annotate(start=Substr("error", 1, ERROR_LENGTH))
    groups: dict[str, Failure] = {}
    for pk, name, finished_at, error in rows.values_list("pk", "name", "finished_at", "start")[:LOOKED_AT]:
        line = printable(error.strip().partition("\n")[0])
        is_exact = line == error and len(error) < ERROR_LENGTH
        group = groups.setdefault(_VARYING.sub("…", line), Failure(line, pk, finished_at or now, since, is_exact))
        group.is_exact &= is_exact and line == group.error
        group.count += 1
        if name:
            group.names[name] += 1
    return sorted(groups.values(), key=lambda group: -group.count)[:SHOWN]
