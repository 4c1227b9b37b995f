"""A view that is drawn again and again: in place with rich, below each other without, until q or Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from django.core.management.base import BaseCommand

from container_manager.management.rendering import console_for, print_table, rich_table, text_cells

try:
    import termios
    import tty
except ImportError:  # not on every system
    termios = None  # type: ignore[assignment]

try:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text
except ImportError:  # the extra "cli"
    Live = None  # type: ignore[assignment,misc]

Tables = Sequence[tuple[Sequence[str], Sequence[Sequence[Any]]]]
Show = Callable[[str, Tables], None]


@contextlib.contextmanager
def drawing(command: BaseCommand) -> Iterator[Show]:
    """Yields what shows a headline and tables; the terminal is as it was afterwards."""
    if Live is None or not command.stdout.isatty():
        yield lambda headline, tables: _write(command, headline, tables)
        return
    console = console_for(command)
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def show(headline: str, tables: Tables) -> None:
            drawn = [rich_table(columns, text_cells(rows), console.width) for columns, rows in tables]
            parts = [part for table in drawn for part in (Text(""), table)]
            live.update(Group(Text(headline, style="bold"), *parts, Text("\nq ends", style="dim")), refresh=True)

        yield show


@contextlib.contextmanager
def key_presses(stream: TextIO | None = None) -> Iterator[Callable[[float], bool]]:
    """Yields what waits for so many seconds and says whether q was pressed meanwhile, without Enter."""
    keyboard = stream or sys.stdin
    if termios is None or not keyboard.isatty():
        yield _sleep
        return
    before = termios.tcgetattr(keyboard)

    def wait(seconds: float) -> bool:
        ready, _, _ = select.select([keyboard], [], [], seconds)
        # From the descriptor: a buffer would keep keys that a later select cannot see.
        pressed = os.read(keyboard.fileno(), 64) if ready else None
        return pressed is not None and (not pressed or b"q" in pressed.lower())

    try:
        tty.setcbreak(keyboard)
        yield wait
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _write(command: BaseCommand, headline: str, tables: Tables) -> None:
    command.stdout.write(headline)
    for columns, rows in tables:
        command.stdout.write("")
        print_table(command, columns, rows)
    command.stdout.write("")
    command.stdout.flush()
