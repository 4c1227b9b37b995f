"""How far a long piece of work has come: a bar on a terminal with rich, else a line now and then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Protocol

from django.core.management.base import BaseCommand

from container_manager.management.rendering import error_console_for, note

try:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
    from rich.text import Text
except ImportError:  # the extra "cli"
    Progress = None  # type: ignore[assignment,misc]

LONG: Final = 500
"""From so many steps on it is worth showing."""


class Steps(Protocol):
    def advance(self) -> None:
        """One more is done."""

    def say(self, message: str) -> None:
        """An error, beside the bar."""


class _Lines:
    def __init__(self, command: BaseCommand) -> None:
        self._command, self._done = command, 0

    def advance(self) -> None:
        self._done += 1
        if self._done % LONG == 0:
            note(self._command, f"{self._done:,} done")

    def say(self, message: str) -> None:
        self._command.stderr.write(message)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self) -> None:
        self._progress.advance(self._task)

    def say(self, message: str) -> None:
        self._progress.console.print(Text(message, style="red"))


@contextlib.contextmanager
def steps(command: BaseCommand, what: str, total: int) -> Iterator[Steps]:
    """Shows how many of ``total`` steps of ``what`` are done, on standard error, where they are many."""
    if Progress is None or total < LONG or not command.stderr.isatty():
        yield _Lines(command)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=error_console_for(command), transient=True) as progress:
        yield _Bar(progress, progress.add_task(what, total=total))
