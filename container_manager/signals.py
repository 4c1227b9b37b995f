"""
Signals of the package, sent after commit, each at most once.

``jobs_moved`` is sent once for every group of jobs that made one move together, with plain
values: ``verb``, ``subjects`` (job id and attempt number), ``status``, ``actor``, ``message``.
The others are sent once per job, with a freshly read ``job``, and cost nothing without
receivers. What must not be missed reads the event table instead: a process that dies
right after its commit sends nothing.
"""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

from container_manager.states import Verb

jobs_moved = Signal()

job_queued = Signal()
job_dequeued = Signal()
job_claimed = Signal()
job_started = Signal()
job_completed = Signal()
job_failed = Signal()
job_retried = Signal()
job_cancelled = Signal()
job_released = Signal()
job_rescued = Signal()

BY_VERB: Final[dict[Verb, Signal]] = {
    Verb.QUEUE: job_queued,
    Verb.DEQUEUE: job_dequeued,
    Verb.CLAIM: job_claimed,
    Verb.START: job_started,
    Verb.COMPLETE: job_completed,
    Verb.FAIL: job_failed,
    Verb.RETRY: job_retried,
    Verb.CANCEL: job_cancelled,
    Verb.RELEASE: job_released,
    Verb.RESCUE: job_rescued,
}
