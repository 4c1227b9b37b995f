"""Who owns an attempt. Every write of a running job carries it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import QuerySet

from container_manager.executors.limits import time_limit
from container_manager.lifecycle import Subject
from container_manager.masking import Masker
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.sql.anyof import AnyOf


@dataclass(slots=True)
class Claim:
    """An open attempt of ``job`` on ``host`` that ``worker`` owns, as far as it knows: every write checks it again."""

    job: ContainerJob
    attempt_id: UUID
    number: int
    host: ExecutorHost
    worker: UUID
    claimed_at_ns: int = field(default_factory=time.time_ns, compare=False)
    """By this process's clock, in nanoseconds since the epoch."""
    masker: Masker | None = field(default=None, repr=False, compare=False)
    """Once its secrets are known: hides them."""
    inputs: dict[str, tuple[int, str]] = field(default_factory=dict, compare=False)
    """Size and SHA-256 of each input file that was handed over."""

    @property
    def subject(self) -> Subject:
        return Subject(self.job.pk, self.number)

    @property
    def timeout_seconds(self) -> int | None:
        """How long it may run: what the job says, within what the host's options do."""
        return time_limit(self.job.timeout_seconds, self.host.options)


def owned(attempt_ids: Collection[UUID], worker: UUID, using: str) -> QuerySet[JobAttempt]:
    """
    Those of the attempts that ``worker`` owns, and that are open therefore: what ends has no owner.

    To ask for that too would invite the planner to the index of open attempts, which has an entry for each that
    this worker has ended since the last vacuum.
    """
    return JobAttempt.objects.using(using).filter(AnyOf("pk", attempt_ids), worker=worker)
