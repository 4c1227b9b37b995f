"""How many no-op jobs a second one worker brings from queued to finished while very many wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.questions.drain import measure
from bench.questions.question import Cell, Options, Question

SYSTEMS = ("own", "own_prepared", "floor", "procrastinate")
"""The others take an hour for it, or keep no row."""


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    yield [
        Cell(system, "1 worker", partial(measure, system, 1, options)) for system in SYSTEMS if options.wants(system)
    ]


QUESTION = Question(
    name="backlog",
    title="A deep backlog, from queued to finished",
    metrics={"per_second": "jobs/s"},
    bound="25 minutes",
    size=100_000,
    quick=4_000,
    rounds=3,
    cells=cells,
    notes=("As `drain`, with one worker; the others of that question take an hour for it, or keep no row.",),
)
