"""PostgreSQL: the first jobs of a selection are found, locked and moved by one statement, their rows before unread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from django.db import connections

from container_manager.journal import events_from
from container_manager.moving import MOVED, Opening, Tables
from container_manager.sql.statements import Statement
from container_manager.sql.updates import update

ATTEMPT: Final = "opened_attempt"


def pick(
    tables: Tables,
    using: str,
    wanted: Statement,
    *,
    order: str,
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
    moved, parameters = update(tables.jobs, written, [("id IN (SELECT picked.id FROM picked)", [])], connection)
    noted, of_events = events_from(tables.events, MOVED, connection, event)
    opened, of_attempts = opening.insertion(MOVED, using)
    statement = (
        f"WITH picked (id) AS MATERIALIZED ({selection}), {MOVED} AS ({moved} RETURNING *), noted AS ({noted}), "  # noqa: S608 - our own names
        f"opened AS ({opened} RETURNING id, job_id) SELECT {MOVED}.*, opened.id AS {ATTEMPT} "
        f"FROM {MOVED} JOIN opened ON opened.job_id = {MOVED}.id ORDER BY {order}"
    )
    jobs = tables.jobs._default_manager.using(using).raw(statement, [*bound, *parameters, *of_events, *of_attempts])
    return [(job, job.__dict__.pop(ATTEMPT)) for job in jobs]
