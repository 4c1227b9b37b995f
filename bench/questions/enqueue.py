"""How many jobs a second one process puts into the queue: one by one, and many at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench.child import call, forgotten
from bench.databases import database, settle
from bench.questions.question import Cell, Options, Question, Values
from bench.systems import ON_POSTGRESQL

BULK = ("own", "own_prepared", "floor", "procrastinate", "pgqueuer")
JOINING = ("own", "own_prepared", "floor", "procrastinate", "pgqueuer", "django_tasks_db", "django_q2")
"""Those that can be part of a transaction of the application's."""
BULK_FACTOR = 10


def measure(system: str, action: str, count: int, options: Options) -> Values:
    with database(options.kind, system) as name, forgotten(system, options.kind, name):
        call(system, "prepare", kind=options.kind, name=name)
        settle(options.kind, name)
        answer = call(system, action, kind=options.kind, name=name, count=count, timeout=options.limit)
    return {"per_second": answer["count"] / (answer["ended"] - answer["began"])}


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    one, bulk = options.size, options.size * BULK_FACTOR
    found = [
        Cell(system, "one by one", partial(measure, system, "enqueue_one", one, options)) for system in ON_POSTGRESQL
    ]
    found += [
        Cell(
            system,
            "one by one in one transaction",
            partial(measure, system, "enqueue_one_in_transaction", one, options),
        )
        for system in JOINING
    ]
    found += [
        Cell(system, "create, then queue_job", partial(measure, system, "create_then_queue", one, options))
        for system in ("own", "own_prepared", "floor")
    ]
    found += [Cell(system, "bulk", partial(measure, system, "enqueue_bulk", bulk, options)) for system in BULK]
    yield [cell for cell in found if options.wants(cell.system)]


QUESTION = Question(
    name="enqueue",
    title="Queueing",
    metrics={"per_second": "jobs/s"},
    bound="10 minutes",
    size=2_000,
    quick=500,
    rounds=3,
    cells=cells,
    notes=(
        "One by one: each its own commit. `size` jobs one by one, ten times as many in bulk, into an empty queue.",
        "django-tasks-db, django-q2, huey and Celery have no bulk form. Celery and Redis write to no disk here.",
    ),
)
