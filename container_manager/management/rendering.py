"""Tables for people, JSON for programs: data to standard output, messages to standard error."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from django.core.management.base import BaseCommand

from container_manager.models import ContainerJob, JobAttempt
from container_manager.wording import cut, printable

try:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ImportError:  # the extra "cli"
    Console = None  # type: ignore[assignment,misc]

SCHEMA_VERSION: Final = 1
_COLOURS: Final = {
    "completed": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "launching": "cyan",
    "alive": "green", "dead": "red", "healthy": "green", "drained": "yellow", "ok": "green", "FAIL": "bold red",
    "warn": "yellow",
}  # fmt: skip
_HIDDEN: Final = frozenset({"secrets", "hold_until", "worker", "unique_key", "unique_slot", "tenant", "trace_context"})
_MAY_WRAP: Final = frozenset({"message", "error", "health", "finding", "queues", "hosts"})
"""Columns that give way where the terminal is too narrow."""
CUT: Final = "job"
"""The column that is cut there, so that a row stays a line."""


def note(command: BaseCommand, message: str) -> None:
    """A message that is no error, so not in an error's colour."""
    command.stderr.write(message, style_func=str)


def print_json(command: BaseCommand, name: str, value: Any) -> None:
    """``{"schema_version": 1, name: value}``; times in UTC."""
    command.stdout.write(json.dumps({"schema_version": SCHEMA_VERSION, name: value}, default=_plain))


def print_table(command: BaseCommand, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Aligned columns, also without rich; on a terminal that takes them, with colours."""
    cells = text_cells(rows)
    if Console is not None and command.stdout.isatty():
        console = console_for(command)
        console.print(rich_table(columns, cells, console.width))
        return
    widths = [max(len(line[place]) for line in [list(columns), *cells]) for place in range(len(columns))]
    for line in [list(columns), *cells]:
        command.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def text_cells(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """What a terminal is shown of ``rows``."""
    return [["" if cell is None else printable(str(cell)) for cell in row] for row in rows]


def console_for(command: BaseCommand) -> Console:
    """rich's console, with colours only where ``command`` may use them."""
    return Console(color_system=_colours(command), highlight=False)


def error_console_for(command: BaseCommand) -> Console:
    """The same on standard error."""
    return Console(color_system=_colours(command), highlight=False, stderr=True)


def _colours(command: BaseCommand) -> Literal["auto"] | None:
    return "auto" if command.style.ERROR("x") != "x" else None


def rich_table(columns: Sequence[str], cells: list[list[str]], width: int) -> Table:
    """The table, with the column ``CUT`` cut so that a row of ``width`` stays a line."""
    if CUT in columns:
        place = columns.index(CUT)
        others = [max(len(line[other]) for line in [list(columns), *cells]) + 2 for other in range(len(columns))]
        room = max(20, width - (sum(others) - others[place]))
        for row in cells:
            row[place] = cut(row[place], room)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column not in _MAY_WRAP, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    return table


def job_values(job: ContainerJob) -> dict[str, Any]:
    """A job as programs get it: every column but the secrets and what is internal."""
    values = {field.attname: getattr(job, field.attname) for field in job._meta.concrete_fields}
    return {name: value for name, value in values.items() if name not in _HIDDEN}


def attempt_values(attempt: JobAttempt) -> dict[str, Any]:
    names = (
        "number", "execution_id", "launched_at", "started_at", "finished_at", "exit_code", "outcome", "error",
        "killed_by", "memory_peak_bytes", "cpu_seconds", "log_bytes", "log_bytes_left_out",
    )  # fmt: skip
    return {"host": attempt.host.name, **{name: getattr(attempt, name) for name in names}}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)
