"""How long a claim of 1 and of 100 jobs takes, by how many are ready, and beside how many others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from bench.child import BenchError, call
from bench.databases import database, settle
from bench.questions.question import Cell, Options, Question, Values

COUNTS = {1: 200, 100: 40}
"""Claims of one round, by how many jobs each takes: fewer than the smallest backlog has."""
LEAST = 10_000


def measure(name: str, depth: int, limit: int, options: Options) -> Values:
    system = "own_claiming"
    settle(options.kind, name)
    count = COUNTS[limit]
    answer = call(
        system, "claim", kind=options.kind, name=name, timeout=options.limit, limit=limit, count=count
    )  # fmt: skip
    call(system, "restore", kind=options.kind, name=name, timeout=options.limit)
    if answer["taken"] != (limit * (count + 1) if depth else 0):
        raise BenchError(f"{answer['taken']} jobs were claimed by {count + 1} claims of {limit}.")
    return {"p50": answer["p50"], "p99": answer["p99"]}


def filled(options: Options, ready: int, crowd: int, stack: ExitStack) -> str:
    name = stack.enter_context(database(options.kind, f"claim_{ready}_{crowd}"))
    call("own_claiming", "prepare", kind=options.kind, name=name)
    call("own_claiming", "fill", kind=options.kind, name=name, ready=ready, crowd=crowd, timeout=3_600.0)
    return name


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    size = max(options.size, LEAST)
    depths = sorted({0, LEAST, size, *(depth for depth in (100_000,) if depth < size)})
    backlogs = {f"{depth:,} ready": (depth, 0) for depth in depths}
    backlogs[f"{size:,} ready, {size:,} each scheduled, finished and in another queue"] = (size, size)
    with ExitStack() as stack:
        names = {case: filled(options, *numbers, stack) for case, numbers in backlogs.items()}
        yield [
            Cell("own", f"{limit} of {case}", partial(measure, names[case], depth, limit, options))
            for limit in COUNTS
            for case, (depth, _) in backlogs.items()
        ]


QUESTION = Question(
    name="claim",
    title="One claim at a deep backlog",
    metrics={"p50": "ms, median", "p99": "ms, 99th percentile"},
    bound="40 minutes on PostgreSQL, 10 each on the others",
    size=1_000_000,
    quick=20_000,
    size_elsewhere=100_000,
    rounds=3,
    cells=cells,
    kinds=("postgres", "mariadb", "sqlite"),
    notes=(
        "One worker's committed claim: the host's row locked, its attempts counted, jobs taken, attempts and events "
        "written. 200 claims of 1 and 40 of 100 in each round; then all is ready again, vacuumed and analyzed.",
    ),
)
