"""Who owns an attempt. Every write of a running job carries it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import UUID

from container_manager.executors.limits import time_limit
from container_manager.lifecycle import Subject
from container_manager.masking import Masker
from container_manager.models import ContainerJob, ExecutorHost


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
