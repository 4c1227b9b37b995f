"""Why started attempts have not begun yet, as their engine says, in the timeline of their jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from container_manager import lifecycle
from container_manager.lifecycle import Subject
from container_manager.models import TABLES
from container_manager.specs import ExecutionState
from container_manager.states import Verb
from container_manager.worker.watch import Watch

MOST: Final = 10


class WaitingNotes:
    """Writes each reason once per attempt, and at most ``MOST``."""

    def __init__(self, worker: UUID, using: str) -> None:
        self._worker, self._using = worker, using

    def tick(self, watches: Iterable[Watch]) -> None:
        """What was newly seen to hold an attempt up is noted."""
        subjects: defaultdict[str, list[Subject]] = defaultdict(list)
        for watch in watches:
            seen = watch.seen
            if seen is None or seen.state is not ExecutionState.RUNNING or not seen.error:
                continue
            if seen.error not in watch.noted and len(watch.noted) < MOST:
                watch.noted.add(seen.error)
                subjects[seen.error].append(watch.claim.subject)
        for reason, waiting in subjects.items():
            lifecycle.record(
                TABLES, self._using, waiting, Verb.NOTE, actor=str(self._worker), message=f"Waits: {reason}"
            )
