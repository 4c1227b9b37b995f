"""What a worker without a job costs: statements and transactions a second, processor time, memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from bench.child import Child, call, forgotten
from bench.databases import database, run_on_server
from bench.questions.question import Cell, Options, Question, Values
from bench.serving import serving_cells

ON_THE_WAY = 8.0
"""Seconds before the server's count begins: the worker has started and come to rest."""


def transactions(name: str) -> int:
    statement = f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{name}'"  # noqa: S608
    return int(run_on_server("postgres", statement)[0][0])


def measure(system: str, options: Options, settings: dict[str, Any] | None) -> Values:
    kind, seconds = options.kind, float(options.size)
    own = {} if settings is None else {"settings": settings, "seconds": seconds + 5.0}
    with database(kind, system) as name, forgotten(system, kind, name):
        call(system, "prepare", kind=kind, name=name)
        worker = Child(system, "idle" if own else "serve", kind=kind, name=name, arguments=own)
        try:
            worker.wait_until_ready()
            worker.send()
            time.sleep(ON_THE_WAY)
            values: dict[str, float] = {}
            began, used = time.monotonic(), _used(worker.pid)
            sent = transactions(name) if kind == "postgres" else 0
            time.sleep(seconds)
            passed = time.monotonic() - began
            if kind == "postgres":
                values["transactions_per_second"] = (transactions(name) - sent) / passed
            values["processor_percent"] = 100 * (_used(worker.pid) - used) / passed
            values["memory_mb"] = sum(process.memory_info().rss for process in _all(worker.pid)) / 1e6
            if own:
                values["statements_per_second"] = worker.answer(options.limit)["statements_per_second"]
            return values
        finally:
            worker.kill()


def _all(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _used(pid: int) -> float:
    times = [process.cpu_times() for process in _all(pid)]
    return sum(one.user + one.system for one in times)


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    yield serving_cells(measure, options, listening="listening")


QUESTION = Question(
    name="idle",
    title="A worker without a job",
    metrics={
        "statements_per_second": "statements/s", "transactions_per_second": "transactions/s",
        "processor_percent": "% of a core", "memory_mb": "MB",
    },
    bound="15 minutes on PostgreSQL, 5 on MariaDB, 3 on SQLite",
    size=20,
    quick=10,
    rounds=3,
    cells=cells,
    kinds=("postgres", "mariadb", "sqlite"),
    notes=(
        "One host, one queue, `size` seconds. Statements are counted where this package's worker sends them, the "
        "heartbeat's thread included; transactions by PostgreSQL, a statement outside of one being one. "
        "Memory is the resident sets of all its processes.",
    ),
)  # fmt: skip
