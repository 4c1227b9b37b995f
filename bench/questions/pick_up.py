"""How long after its commit a job is started by a worker that had nothing to do."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.child import Child, call, forgotten
from bench.databases import database
from bench.questions.question import Cell, Options, Question, Values
from bench.serving import serving_cells


def measure(system: str, options: Options, settings: dict[str, Any] | None) -> Values:
    kind = options.kind
    more = {} if settings is None else {"settings": settings}
    with (
        database(kind, system) as name,
        forgotten(system, kind, name),
        tempfile.TemporaryDirectory() as folder,
    ):
        call(system, "prepare", kind=kind, name=name)
        worker = Child(system, "serve", kind=kind, name=name, arguments=more)
        try:
            worker.wait_until_ready()
            worker.send()
            where = more or {"path": str(Path(folder) / "notes")}
            return call(system, "pick_up", kind=kind, name=name, timeout=options.limit, count=options.size, **where)
        finally:
            worker.kill()


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    yield serving_cells(measure, options, listening="woken by NOTIFY")


QUESTION = Question(
    name="pick_up",
    title="From the commit to the start, idle worker",
    metrics={"p50": "ms, median", "p99": "ms, 99th percentile"},
    bound="15 minutes on PostgreSQL, 5 on MariaDB, 3 on SQLite",
    size=50,
    quick=20,
    rounds=3,
    cells=cells,
    kinds=("postgres", "mariadb", "sqlite"),
    notes=(
        "`size` jobs, one at a time, 0.1 to 0.6 seconds apart. This package's start is the engine's own time on the "
        "`fake` executor: claimed, created, confirmed and started by then. The peers' is their function's first line.",
        "Each with its own intervals: this package looks every second, django-tasks-db every second.",
    ),
)
