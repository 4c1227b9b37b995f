"""What a question consists of, and what is asked for on the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

Values = Mapping[str, float]
QUICK_ROUNDS = 2


@dataclass(frozen=True, kw_only=True)
class Options:
    """``size`` is the question's own idea of large; ``kind`` the database; ``limit`` the seconds one cell may take."""

    size: int
    rounds: int
    kind: str
    limit: float = 600.0
    until: float = math.inf
    """The monotonic time after which no further round begins."""
    systems: tuple[str, ...] = ()

    def wants(self, system: str) -> bool:
        return not self.systems or system in self.systems


@dataclass(frozen=True)
class Cell:
    """One number of a table, measured once a round: ``run`` returns the values of the question's metrics."""

    system: str
    case: str
    run: Callable[[], Values]


@dataclass(frozen=True, kw_only=True)
class Question:
    """
    ``metrics``: heading of each value, the first is drawn. ``size`` and ``rounds`` are those of a full run, which
    takes ``bound`` at most on a quiet machine with two cores; ``quick`` is the size otherwise.

    ``cells`` sets up what the rounds share, and takes it down. ``notes`` are what a reader has to know.
    """

    name: str
    title: str
    metrics: Mapping[str, str]
    bound: str
    size: int
    quick: int
    rounds: int
    cells: Callable[[Options], AbstractContextManager[list[Cell]]]
    kinds: tuple[str, ...] = ("postgres",)
    size_elsewhere: int | None = None
    """The size on the other databases, where it differs."""
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def size_on(self, kind: str, *, is_full: bool) -> int:
        size = self.size if kind == "postgres" or self.size_elsewhere is None else self.size_elsewhere
        return size if is_full else min(size, self.quick)

    def rounds_of(self, *, is_full: bool) -> int:
        return self.rounds if is_full else min(self.rounds, QUICK_ROUNDS)


CellSource = Callable[[Options], Iterator[list[Cell]]]
