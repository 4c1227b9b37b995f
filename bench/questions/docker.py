"""How many containers a second a Docker engine runs for a worker, against the SDK's own calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.child import BenchError, call
from bench.databases import database
from bench.questions.question import Cell, Options, Question, Values

CONCURRENCIES = (1, 4, 8)


def measure_own(concurrency: int, options: Options) -> Values:
    system, kind = "own_docker", options.kind
    with database(kind, system) as name:
        call(system, "prepare", kind=kind, name=name)
        call(system, "fill", kind=kind, name=name, count=options.size)
        try:
            answer = call(
                system,
                "drain",
                kind=kind,
                name=name,
                timeout=options.limit,
                count=options.size,
                concurrency=concurrency,
            )
            left = call(system, "unfinished", kind=kind, name=name)["count"]
        finally:
            call(system, "forget", kind=kind, name=name)
    if left:
        raise BenchError(f"{left} of {options.size} jobs are unfinished.")
    return {"per_second": options.size / (answer["ended"] - answer["began"])}


def measure_sdk(concurrency: int, options: Options) -> Values:
    place = {"kind": options.kind, "name": "postgres"}  # it uses no database
    try:
        answer = call("sdk", "drain", **place, timeout=options.limit, count=options.size, concurrency=concurrency)
    finally:
        call("sdk", "forget", **place)
    return {"per_second": options.size / (answer["ended"] - answer["began"])}


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    found = [
        Cell(system, f"{concurrency} at once", partial(measure, concurrency, options))
        for concurrency in CONCURRENCIES
        for system, measure in (("own", measure_own), ("sdk", measure_sdk))
    ]
    yield [cell for cell in found if options.wants(cell.system)]


QUESTION = Question(
    name="docker",
    title="Docker jobs from queued to finished",
    metrics={"per_second": "jobs/s"},
    bound="15 minutes",
    size=60,
    quick=24,
    rounds=3,
    cells=cells,
    notes=(
        "`true` in `busybox:local` (`BENCH_IMAGE`), on the engine of `DOCKER_HOST`. SDK: create, start, wait, inspect, "
        "logs, remove, on so many threads, the engine's connections open. This package: a worker with so many jobs in "
        "hand, from its start to an empty queue; the same calls, with the job's limits, states, events and output.",
    ),
)
