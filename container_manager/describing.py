"""Jobs as people read them, on a terminal and on a page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.utils import timezone

from container_manager.models import ContainerJob, JobAttempt
from container_manager.wording import duration, printable

SHORT: Final = 12
"""Characters of an id that are shown: its last ones, since the first are the time."""


def short_id(job_id: UUID) -> str:
    return job_id.hex[-SHORT:]


def command_text(job: ContainerJob) -> str:
    """The command as one would type it."""
    return job.command if isinstance(job.command, str) else shlex.join(job.command)


def title(job: ContainerJob) -> str:
    """The name, if it has one, and the command."""
    return f"{job.name}: {command_text(job)}" if job.name else command_text(job) or job.image


def result_text(exit_code: int | None, outcome: str) -> str:
    """``ok``, ``app_error (7)``."""
    return outcome if not exit_code else f"{outcome} ({exit_code})"


def run_time(attempt: JobAttempt) -> str:
    if attempt.started_at is None:
        return ""
    end = attempt.engine_finished_at or attempt.finished_at or timezone.now()
    return duration(max(0.0, (end - attempt.started_at).total_seconds()))


def pairs(values: Mapping[str, str], separator: str = " ") -> str:
    return separator.join(printable(f"{name}={value}") for name, value in values.items())
