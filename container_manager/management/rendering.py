"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.management.base import OutputWrapper
from django.utils import timezone

from container_manager.models import ContainerJob, JobAttempt

try:
    from rich.console import Console
    from rich.table import Table
except ImportError:  # the extra "cli"
    Console = None  # type: ignore[assignment,misc]

SCHEMA_VERSION: Final = 1
_COLOURS: Final = {"completed": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "launching": "cyan"}


def print_json(stdout: OutputWrapper, name: str, value: Any) -> None:
    """``{"schema_version": 1, name: value}``; times in UTC."""
    stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, name: value}, default=_plain))


def print_table(stdout: OutputWrapper, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Aligned columns; with rich on a terminal, plain elsewhere. ``NO_COLOR`` is obeyed by both."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if Console is not None and stdout.isatty() and not os.environ.get("NO_COLOR"):
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*(f"[{_COLOURS[cell]}]{cell}[/]" if cell in _COLOURS else _escape(cell) for cell in row))
        Console().print(table)
        return
    widths = [max(len(line[place]) for line in [list(columns), *cells]) for place in range(len(columns))]
    for line in [list(columns), *cells]:
        stdout.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def job_values(job: ContainerJob) -> dict[str, Any]:
    """A job as programs get it: every column but the secrets."""
    hidden = {"secrets", "hold_until", "worker", "unique_key", "tenant"}
    values = {field.attname: getattr(job, field.attname) for field in job._meta.concrete_fields}
    return {name: value for name, value in values.items() if name not in hidden}


def attempt_values(attempt: JobAttempt) -> dict[str, Any]:
    names = (
        "number", "execution_id", "launched_at", "started_at", "finished_at", "exit_code", "outcome", "error",
        "killed_by", "memory_peak_bytes", "cpu_seconds", "log_bytes", "log_bytes_left_out",
    )  # fmt: skip
    return {"host": attempt.host.name, **{name: getattr(attempt, name) for name in names}}


def command_text(job: ContainerJob, width: int = 40) -> str:
    text = job.command if isinstance(job.command, str) else " ".join(job.command)
    return text if len(text) <= width else text[: width - 1] + "…"


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


def run_time(attempt: JobAttempt) -> str:
    if attempt.started_at is None:
        return ""
    end = attempt.engine_finished_at or attempt.finished_at or timezone.now()
    return duration(max(0.0, (end - attempt.started_at).total_seconds()))


def label_pairs(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in labels.items())


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)
