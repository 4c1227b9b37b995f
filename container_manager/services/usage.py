"""What running attempts have used so far, on their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from container_manager.models import JobAttempt
from container_manager.ownership import owned
from container_manager.specs import Usage
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.sql.rowvalues import each_row


def store_usage(measured: Mapping[UUID, Usage], worker: UUID, using: str) -> None:
    """Each attempt, by its id, that is open and ``worker``'s shows what was measured. One statement."""
    known: dict[str, dict[UUID, Any]] = {
        "memory_peak_bytes": {pk: usage.memory_peak_bytes for pk, usage in measured.items()},
        "cpu_seconds": {pk: usage.cpu_seconds for pk, usage in measured.items()},
    }
    values = {
        name: each_row(JobAttempt, name, told, rows=len(measured))
        for name, column in known.items()
        if (told := {pk: value for pk, value in column.items() if value is not None})
    }
    if values:
        attempts = owned(measured, worker, using)
        retry_on_conflict(lambda: attempts.update(**values))
