"""Whether the database is ready for the queue."""

from __future__ import annotations

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor


def database_problem(using: str) -> str:
    """What keeps the database from serving the queue, and what to do; empty when it is ready."""
    try:
        executor = MigrationExecutor(connections[using])
        targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == "container_manager"]
        missing = executor.migration_plan(targets)
    except DatabaseError as error:
        return f"The database {using!r} does not answer: {error} Is it running, and is DATABASES right?"
    if missing:
        return f"{len(missing)} migrations are to be applied: run 'manage.py migrate'."
    return ""
