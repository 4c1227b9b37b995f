"""PostgreSQL: the first jobs of a selection are found, locked and moved by one statement, their rows before unread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connections

from container_manager.journal import events_from
from container_manager.moving import MOVED, Opening, Tables
from container_manager.sql.reading import columns_from, instances_of
from container_manager.sql.statements import Statement
from container_manager.sql.updates import update


def pick(
    tables: Tables,
    using: str,
    wanted: Statement,
    *,
    order: Sequence[str],
    written: Mapping[str, Any],
    event: Mapping[str, Any],
    opening: Opening,
) -> list[tuple[Any, UUID]]:
    """
    The rows that ``wanted`` selects get ``written``, an attempt and an event; atomic.

    ``wanted`` selects ids, with its own order, limit and lock. Returns the jobs as their rows are now,
    in ``order``, each with the id of its attempt.
    """
    connection = connections[using]
    selection, bound = wanted
    # As an array: joined with them, a table of some ten thousand jobs is read whole.
    keys: Statement = "id = ANY(ARRAY(SELECT picked.id FROM picked))", []
    moved, parameters = update(tables.jobs, written, [keys], connection)
    noted, of_events = events_from(tables.events, MOVED, connection, event)
    opened, of_attempts = opening.insertion(MOVED, using)
    best_first = ", ".join(f"{MOVED}.{column}" for column in order)
    statement = (
        f"WITH picked (id) AS MATERIALIZED ({selection}), {MOVED} AS ({moved} RETURNING *), noted AS ({noted}), "  # noqa: S608 - our own names
        f"opened AS ({opened} RETURNING id, job_id) SELECT opened.id, {columns_from(MOVED, tables.jobs)} "
        f"FROM {MOVED} JOIN opened ON opened.job_id = {MOVED}.id ORDER BY {best_first}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*bound, *parameters, *of_events, *of_attempts])
        rows = cursor.fetchall()
    return list(zip(instances_of(tables.jobs, [row[1:] for row in rows], using), [row[0] for row in rows], strict=True))
