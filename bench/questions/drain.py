"""How many no-op jobs a second workers bring from queued to finished: a full queue until it is empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.child import BenchError, call, forgotten, race
from bench.databases import database, settle
from bench.questions.question import Cell, Options, Question, Values
from bench.systems import ON_POSTGRESQL

SYSTEMS = {
    "postgres": ON_POSTGRESQL,
    "mariadb": ("own", "floor_portable", "django_tasks_db", "django_q2"),
    "sqlite": ("own", "floor_portable", "django_tasks_db"),
}


def measure(system: str, workers: int, options: Options) -> Values:
    kind = options.kind
    with database(kind, system) as name, forgotten(system, kind, name):
        call(system, "prepare", kind=kind, name=name)
        call(system, "fill", kind=kind, name=name, count=options.size, timeout=options.limit)
        settle(kind, name)
        entries = [(system, "drain", {"count": options.size})] * workers
        answers = race(entries, kind=kind, name=name, timeout=options.limit)
        left = call(system, "unfinished", kind=kind, name=name)["count"]
    if left:
        raise BenchError(f"{system} left {left} of {options.size} jobs unfinished.")
    seconds = max(answer["ended"] for answer in answers) - min(answer["began"] for answer in answers)
    return {"per_second": options.size / seconds}


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    yield [
        Cell(system, f"{workers} worker{'s' * (workers > 1)}", partial(measure, system, workers, options))
        for workers in (1, 2, 4)
        for system in SYSTEMS[options.kind]
        if options.wants(system)
    ]


QUESTION = Question(
    name="drain",
    title="From queued to finished",
    metrics={"per_second": "jobs/s"},
    bound="40 minutes on PostgreSQL, 25 on MariaDB, 15 on SQLite",
    size=20_000,
    quick=2_000,
    size_elsewhere=5_000,
    rounds=3,
    cells=cells,
    kinds=("postgres", "mariadb", "sqlite"),
    notes=(
        "A worker is one process. This package runs each job on the `fake` executor: created, confirmed, started, "
        "observed, finished and removed, with attempts and events; 200 jobs in hand, claimed by the hundred. "
        "procrastinate runs an asynchronous no-op with concurrency 100, pgqueuer one in batches of 100, the others a "
        "no-op as their documentation says.",
        "Measured from the start line to an empty queue; the processes have started and connected before.",
        "pgqueuer, huey and Celery keep no row of what they did; pgqueuer keeps a log.",
    ),
)
