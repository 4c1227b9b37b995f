"""What a worker costs that watches very many running jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.child import call
from bench.databases import database
from bench.questions.question import Cell, Options, Question, Values

SECONDS = 30.0


def measure(count: int, options: Options) -> Values:
    system, kind = "own_serving", options.kind
    with database(kind, f"watch_{count}") as name:
        call(system, "prepare", kind=kind, name=name)
        return call(
            system, "watch", kind=kind, name=name, timeout=options.limit, count=count, seconds=SECONDS,
            settings={"RETENTION": None},
        )  # fmt: skip


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    yield [Cell("own", f"{count:,} running", partial(measure, count, options)) for count in (1, options.size)]


QUESTION = Question(
    name="watch",
    title="One worker and the jobs that it watches",
    metrics={"processor_percent": "% of a core", "memory_mb": "MB", "statements_per_second": "statements/s"},
    bound="8 minutes",
    size=1_000,
    quick=1_000,
    rounds=3,
    cells=cells,
    notes=("For 30 seconds, on the `fake` executor, whose engine is in the same process and is counted with it.",),
)
