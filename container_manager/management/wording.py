"""Values as people read them on a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime

from django.utils import timezone

from container_manager.models import ContainerJob, JobAttempt


def printable(text: str) -> str:
    """``text`` on one line, its control characters spelled out: a job's name must not drive the terminal."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def command_text(job: ContainerJob) -> str:
    """The command as one would type it."""
    return job.command if isinstance(job.command, str) else shlex.join(job.command)


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def title(job: ContainerJob) -> str:
    """The name, if it has one, and the command."""
    return f"{job.name}: {command_text(job)}" if job.name else command_text(job) or job.image


def result_text(exit_code: int | None, outcome: str) -> str:
    """``ok``, ``app_error (7)``."""
    return outcome if not exit_code else f"{outcome} ({exit_code})"


def ago(moment: datetime | None) -> str:
    """How long ago, or in how long, in one unit."""
    if moment is None:
        return ""
    seconds = (timezone.now() - moment).total_seconds()
    return f"in {duration(-seconds)}" if seconds < 0 else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def local(moment: datetime | None) -> str:
    """The project's zone, named."""
    return "" if moment is None else timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %Z")


def iso(moment: datetime) -> str:
    """UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run_time(attempt: JobAttempt) -> str:
    if attempt.started_at is None:
        return ""
    end = attempt.engine_finished_at or attempt.finished_at or timezone.now()
    return duration(max(0.0, (end - attempt.started_at).total_seconds()))


def pairs(values: Mapping[str, str], separator: str = " ") -> str:
    return separator.join(printable(f"{name}={value}") for name, value in values.items())
