"""
The vocabulary of a job's life: statuses, holds, outcomes, and the one table of transitions.

Pure: no database, no clock. Every write of ``status`` goes through ``lifecycle``,
which asks ``TRANSITIONS``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Status(TextChoices):
    """Where a job is. Each value says who moves a job out of it."""

    PENDING = "pending", _("Pending")
    """Created, not queued. ``queue_job`` or a cancellation moves it out."""
    QUEUED = "queued", _("Queued")
    """In the queue; ready unless held. A claim, ``dequeue_job`` or a cancellation moves it out."""
    LAUNCHING = "launching", _("Launching")
    """Claimed by one worker; a container may or may not exist. That worker or a rescuer moves it out."""
    RUNNING = "running", _("Running")
    """The executor confirmed the start. The worker that observes the end moves it out."""
    COMPLETED = "completed", _("Completed")
    """Ended with exit code 0. Final."""
    FAILED = "failed", _("Failed")
    """Ended badly, or never started. Only ``queue_job``, a retry or ``dequeue_job`` moves it out."""
    CANCELLED = "cancelled", _("Cancelled")
    """Cancelled before its end. Final."""


TRANSITIONS: Final[dict[Status, frozenset[Status]]] = {
    Status.PENDING: frozenset({Status.QUEUED, Status.CANCELLED}),
    Status.QUEUED: frozenset({Status.PENDING, Status.LAUNCHING, Status.FAILED, Status.CANCELLED}),
    Status.LAUNCHING: frozenset({Status.QUEUED, Status.RUNNING, Status.FAILED, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.PENDING, Status.QUEUED}),
    Status.CANCELLED: frozenset(),
}
"""From each status, where a job may go. ``LAUNCHING`` and ``RUNNING`` return to ``QUEUED`` by the retry rules."""

TERMINAL: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
ACTIVE: Final = frozenset({Status.LAUNCHING, Status.RUNNING})
"""Statuses in which a container may exist and an attempt is open."""


def sources_of(target: Status) -> frozenset[Status]:
    """The statuses from which a job may go to ``target``."""
    return frozenset(source for source, targets in TRANSITIONS.items() if target in targets)


class Hold(TextChoices):
    """Why a queued job is not ready. Held jobs are not in the ready index; any worker promotes due ones."""

    NONE = "", _("ready")
    SCHEDULE = "schedule", _("scheduled for later")
    BACKOFF = "backoff", _("waiting before the next try")
    EXHAUSTED = "exhausted", _("no launch left in max_retries")
    UNSCHEDULABLE = "unschedulable", _("fits no active host")
    LIMIT = "limit", _("waiting for its turn or a limit")


class Outcome(TextChoices):
    """How an attempt ended: a category beside the exit code. Retry rules read it, never a message."""

    OK = "ok", _("ok")
    APP_ERROR = "app_error", _("application error")
    OOM = "oom", _("out of memory")
    TIMEOUT = "timeout", _("timed out")
    CANCELLED = "cancelled", _("cancelled")
    IMAGE_ERROR = "image_error", _("image error")
    CONFIG_ERROR = "config_error", _("configuration error")
    OUTPUT_ERROR = "output_error", _("output error")
    """It ended well, and what it should leave behind is missing, too large or not valid."""
    INFRA_ERROR = "infra_error", _("infrastructure error")
    LOST = "lost", _("lost")
    """It may have run, and its end was not seen. ``on_lost`` says what happens then."""


class StopReason(TextChoices):
    """Why a running attempt is asked to stop. Written down before the signal is sent."""

    CANCEL = "cancel", _("cancelled")
    TIMEOUT = "timeout", _("timed out")


class OnLost(TextChoices):
    """What happens to a job whose attempt was lost, so that it may or may not have run."""

    FAIL = "fail", _("fail")
    RETRY = "retry", _("run again")


class Verb(StrEnum):
    """One verb per edge, the same in methods, events, signals, command line, REST and metrics."""

    QUEUE = "queue"
    DEQUEUE = "dequeue"
    CLAIM = "claim"
    LAUNCH = "launch"
    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"
    RETRY = "retry"
    CANCEL = "cancel"
    RESCUE = "rescue"
    PRUNE = "prune"
    RELEASE = "release"
    """An unstarted claim given back: nothing ran, no retry is spent."""
    STOP = "stop"
    """A running attempt is asked to stop: its cancellation or its timeout."""
    NOTE = "note"
    """Something worth knowing that moved nothing: a pull's progress, a cancellation that came too late."""


PRIORITY_LOWEST: Final = 0
PRIORITY_HIGHEST: Final = 100
