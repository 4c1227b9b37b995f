"""How long after its commit a job was picked up by an idle worker."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from bench.timing import percentiles

SHORTEST, LONGEST = 0.1, 0.6
"""Seconds between two jobs, so that they meet the worker at any moment of its rest."""

PATIENCE = 60.0
"""Seconds until a job counts as one that nobody takes."""

When = Callable[[], float]
"""Waits until a job was started; returns the moment."""


def pick_up(start_line: Callable[[], None], count: int, queue: Callable[[], When]) -> dict[str, float]:
    """``queue`` was called ``count`` times, each time on an idle worker; percentiles of milliseconds."""
    queue()()  # the worker is there
    start_line()
    taken = []
    for _ in range(count):
        time.sleep(random.uniform(SHORTEST, LONGEST))  # noqa: S311
        when = queue()
        committed = time.time()
        taken.append((when() - committed) * 1_000)
    return percentiles(taken)


class Notes:
    """A file into which jobs of the peers write when they were started."""

    def __init__(self, path: str) -> None:
        self._file, self._count = Path(path), 0
        self._file.touch()

    def expect(self) -> When:
        """The moment of the next line."""
        self._count += 1
        number = self._count

        def when() -> float:
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                lines = self._file.read_text().splitlines(keepends=True)
                if len(lines) >= number and lines[number - 1].endswith("\n"):
                    return float(lines[number - 1])
                time.sleep(0.002)
            raise TimeoutError(f"Nobody picked up job {number} within {PATIENCE:.0f} seconds.")

        return when


def note(path: str) -> None:
    """What such a job does."""
    with Path(path).open("a") as file:
        file.write(f"{time.time()}\n")
