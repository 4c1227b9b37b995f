"""Which jobs are meant: one set of filters for the command line and whoever else asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef
from django.db.models.fields.json import KeyTransform

from container_manager.models import JobAttempt
from container_manager.models.job_queryset import JobQuerySet


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Each criterion narrows; empty = any. Several values of one criterion are alternatives, several labels are not."""

    status: Sequence[str] = ()
    queue: Sequence[str] = ()
    host: Sequence[str] = ()
    outcome: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.status or self.queue or self.host or self.outcome or self.labels)

    def apply(self, jobs: JobQuerySet) -> JobQuerySet:
        """Those of ``jobs`` that match. ``host``: any of the job's attempts was there."""
        if self.status:
            jobs = jobs.filter(status__in=self.status)
        if self.queue:
            jobs = jobs.filter(queue__in=self.queue)
        if self.outcome:
            jobs = jobs.filter(outcome__in=self.outcome)
        if self.host:
            there = JobAttempt.objects.using(jobs.db).filter(job=OuterRef("pk"), host__name__in=self.host)
            jobs = jobs.filter(Exists(there))
        for position, (name, value) in enumerate(self.labels.items()):
            alias = f"label_{position}"
            jobs = jobs.alias(**{alias: KeyTransform(name, "labels")}).filter(**{alias: value})
        return jobs
