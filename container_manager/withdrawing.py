"""Taking jobs back before anything of them has started."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.utils import timezone

from container_manager import lifecycle
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob
from container_manager.states import Outcome, Status, Verb


def cancel_unstarted(jobs: Sequence[ContainerJob], *, using: str, actor: str, message: str = "") -> set[UUID]:
    """Those of ``jobs`` that nothing has launched are CANCELLED; returns which."""
    moved = lifecycle.transition(
        TABLES, using, [Subject(job.pk, job.attempt) for job in jobs],
        to=Status.CANCELLED, verb=Verb.CANCEL, sources=[Status.PENDING, Status.QUEUED],
        values={"outcome": Outcome.CANCELLED, "cancel_requested_at": timezone.now()}, actor=actor, message=message,
    )  # fmt: skip
    return {subject.job_id for subject in moved}
