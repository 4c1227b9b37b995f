"""How long ``get_queue_stats`` takes beside very many jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.child import call
from bench.questions.question import Cell, Options, Question, Values
from bench.reading import SYSTEM, filled

CALLS = 20


def measure(name: str, action: str, options: Options) -> Values:
    return call(SYSTEM, action, kind=options.kind, name=name, timeout=options.limit, count=CALLS)


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    kind, size = options.kind, options.size
    with filled(kind, "stats", queued=size, finished=size) as name:
        case = f"{size:,} queued and {size:,} finished"
        found = [Cell("own", case, partial(measure, name, "stats", options))]
        if kind == "postgres":
            found.append(Cell("floor", case, partial(measure, name, "stats_by_hand", options)))
        yield found


QUESTION = Question(
    name="stats",
    title="get_queue_stats",
    metrics={"p50": "ms, median", "p99": "ms, the slowest of 20"},
    bound="15 minutes on PostgreSQL, 5 each on the others",
    size=1_000_000,
    quick=50_000,
    size_elsewhere=100_000,
    rounds=3,
    cells=cells,
    kinds=("postgres", "mariadb", "sqlite"),
    notes=("After VACUUM ANALYZE. By hand: one statement with filtered counts.",),
)
