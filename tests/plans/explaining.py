"""The plans of the statements that code runs, with the rows that each really read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from tests.plans.backlog import ATTEMPTS, JOBS

PREFIXES: Final = {
    "postgresql": "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ",
    "mysql": "ANALYZE FORMAT=JSON ",
    "sqlite": "EXPLAIN QUERY PLAN ",
}
STEP, STEPS_OF_A_ROW = 100, 400
"""SQLite counts the steps of its virtual machine. A row takes from ten, looked at, to these, moved in every index."""


@dataclass(frozen=True)
class Plan:
    sql: str
    text: str
    rows_read: int
    entries_read: int = 0
    """PostgreSQL: of indexes, by bitmaps; those of dead rows too, which a scan in order steps over for good."""
    blocks: int = 0
    """PostgreSQL: looked at, each time anew."""


@contextmanager
def explained(is_wanted: Callable[[], bool] = lambda: True) -> Iterator[list[Plan]]:
    """The plan of every statement on jobs and attempts that runs while ``is_wanted``, with its rows counted before."""
    plans: list[Plan] = []
    is_explaining = False

    def explain_first(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        nonlocal is_explaining
        if not is_explaining and _is_of_interest(sql) and is_wanted():
            is_explaining = True
            try:
                plans.append(explain(sql, parameters))
            finally:
                is_explaining = False
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(explain_first):
        yield plans


def _is_of_interest(sql: str) -> bool:
    reads = sql.startswith(("SELECT", "UPDATE", "DELETE", "WITH")) or (sql.startswith("INSERT") and " SELECT " in sql)
    return reads and (JOBS in sql or ATTEMPTS in sql)


def explain(sql: str, parameters: Any) -> Plan:
    """The plan of ``sql``. It is run for that, and undone."""
    with transaction.atomic():
        rows = _run(PREFIXES[connection.vendor] + sql, parameters)
        entries = blocks = 0
        if connection.vendor == "sqlite":
            read = _count_steps(sql, parameters) // STEPS_OF_A_ROW
            text = "; ".join(str(row[3]) for row in rows)
        else:
            plan = json.loads(rows[0][0]) if isinstance(rows[0][0], str) else rows[0][0]
            read, text = _rows_read(plan), json.dumps(plan)
            if connection.vendor == "postgresql":
                entries, blocks = _entries_read(plan), plan[0]["Plan"]["Shared Hit Blocks"]
        transaction.set_rollback(True)
    return Plan(sql, text, read, entries, blocks)


def assert_proportional(plans: Sequence[Plan], batch: int) -> None:
    """None of them read more rows than a few for each of ``batch``."""
    assert plans
    for plan in plans:
        assert plan.rows_read <= 4 * batch + 20, plan


def using(plans: Sequence[Plan], index: str) -> int:
    """How many of them read through ``index``."""
    return sum(index in plan.text for plan in plans)


def _run(sql: str, parameters: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def _count_steps(sql: str, parameters: Any) -> int:
    count = 0

    def step() -> int:
        nonlocal count
        count += STEP
        return 0

    connection.connection.set_progress_handler(step, STEP)
    try:
        _run(sql, parameters)
    finally:
        connection.connection.set_progress_handler(None, 0)
    return count


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """All of a plan's, with what is in them."""
    if isinstance(plan, list):
        for part in plan:
            yield from _nodes(part)
    elif isinstance(plan, dict):
        yield plan
        yield from _nodes(list(plan.values()))


def _rows_read(plan: Any) -> int:
    """Rows that the scans of a plan looked at, kept or not, over all of their loops."""
    read = 0
    for node in _nodes(plan):
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read += round((node["Actual Rows"] + removed) * node["Actual Loops"])
        elif "table_name" in node:
            read += round((node.get("r_rows") or 0) * node.get("r_loops", 1))
    return read


def _entries_read(plan: Any) -> int:
    """Entries of indexes that a plan's bitmaps were made of."""
    bitmaps = (node for node in _nodes(plan) if node.get("Node Type") == "Bitmap Index Scan")
    return sum(round(node["Actual Rows"] * node["Actual Loops"]) for node in bitmaps)
