"""What a job costs the database: rows, log and disk, by its environment and its output."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench.child import call
from bench.databases import database, run_in, session, settle
from bench.questions.question import Cell, Options, Question, Values

ENVIRONMENTS = {"200 B": 200, "1.5 KB": 1_500}
OUTPUTS = {"no output": 0, "50 KB of output": 50_000}
RECORDS = """
SELECT coalesce(sum(record_length), 0) FROM pg_get_wal_records_info('{start}', '{end}')
WHERE block_ref LIKE '%/{oid}/%'
"""
ROWS = "SELECT sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_hot_upd) FROM pg_stat_user_tables"
BYTES = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"


def measure(system: str, environment: int, output: int, options: Options) -> Values:
    kind, count = options.kind, options.size
    with database(kind, system) as name, kept_log():
        call(system, "prepare", kind=kind, name=name)
        run_in(kind, name, "CREATE EXTENSION pg_walinspect")
        settle(kind, name)
        empty = _state(name)
        more: dict[str, Any] = {"environment_bytes": environment}
        if output:
            more["output_bytes"] = output
        call(system, "fill", kind=kind, name=name, timeout=options.limit, count=count, **more)
        queued = _state(name)
        call(system, "drain", kind=kind, name=name, timeout=options.limit, count=count)
        done = _state(name)
        return {
            "log_queued": _log(name, empty, queued) / count,
            "log_run": _log(name, queued, done) / count,
            "inserted": (done["inserted"] - empty["inserted"]) / count,
            "updated": (done["updated"] - empty["updated"]) / count,
            "hot_percent": 100 * (done["hot"] - queued["hot"]) / (done["updated"] - queued["updated"]),
            "disk": (done["bytes"] - empty["bytes"]) / count,
        }


@contextmanager
def kept_log() -> Iterator[None]:
    """A checkpoint meanwhile, whoever causes it, leaves the log to be read."""
    with session("postgres") as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_create_physical_replication_slot('cm_bench_{os.getpid()}', true, true)")
        yield


def _state(name: str) -> dict[str, Any]:
    """Counted by the server when the session that wrote has ended."""
    position = run_in("postgres", name, "SELECT pg_current_wal_flush_lsn()")[0][0]
    inserted, updated, hot = run_in("postgres", name, "SELECT pg_stat_force_next_flush()", ROWS)[0]
    return {
        "position": position, "inserted": int(inserted), "updated": int(updated), "hot": int(hot),
        "bytes": int(run_in("postgres", name, BYTES)[0][0]),
    }  # fmt: skip


def _log(name: str, start: dict[str, Any], end: dict[str, Any]) -> float:
    oid = run_in("postgres", name, "SELECT oid FROM pg_database WHERE datname = current_database()")[0][0]
    statement = RECORDS.format(start=start["position"], end=end["position"], oid=oid)
    return float(run_in("postgres", name, statement)[0][0])


@contextmanager
def cells(options: Options) -> Iterator[list[Cell]]:
    yield [
        Cell(system, f"{environment} of environment, {output}", partial(measure, system, size, length, options))
        for environment, size in ENVIRONMENTS.items()
        for output, length in OUTPUTS.items()
        for system in ("own", "floor")
        if options.wants(system) and not (system == "floor" and length)
    ]


QUESTION = Question(
    name="writes",
    title="What a job writes",
    metrics={
        "log_run": "bytes of log to run it", "log_queued": "bytes of log to queue it", "inserted": "rows inserted",
        "updated": "rows updated", "hot_percent": "% of the updates heap-only", "disk": "bytes on disk",
    },
    bound="15 minutes",
    size=5_000,
    quick=1_000,
    rounds=2,
    cells=cells,
    notes=(
        "The records of PostgreSQL's write-ahead log that touch the database's own pages, by `pg_walinspect`, whole "
        "pages after a checkpoint included; whoever else writes on the server is not counted. Queued in bulk.",
        "Bytes on disk: tables, indexes and what their updates left, before any vacuum but the server's own.",
    ),
)  # fmt: skip
