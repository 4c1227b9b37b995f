"""What a question consists of, and what is asked for on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

Values = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Options:
    """``size`` is the question's own idea of large; ``kind`` the database; ``limit`` the seconds one cell may take."""

    size: int
    rounds: int
    kind: str
    limit: float = 600.0
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
    ``metrics``: heading of each value, the first is drawn. ``bound``: how long the default run takes at most.

    ``cells`` sets up what the rounds share, and takes it down. ``notes`` are what a reader has to know.
    """

    name: str
    title: str
    metrics: Mapping[str, str]
    bound: str
    size: int
    rounds: int
    cells: Callable[[Options], AbstractContextManager[list[Cell]]]
    kinds: tuple[str, ...] = ("postgres",)
    size_elsewhere: int | None = None
    """The size on the other databases, where it differs."""
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def size_on(self, kind: str) -> int:
        return self.size if kind == "postgres" or self.size_elsewhere is None else self.size_elsewhere


CellSource = Callable[[Options], Iterator[list[Cell]]]
