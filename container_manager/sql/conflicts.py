"""Trying a short transaction again when the database chose it as a deadlock's victim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import stamina
from django.db import OperationalError

Result = TypeVar("Result")

MARIADB_CODES: Final = {1205, 1213, 1020}
"""Lock wait timeout, deadlock, and "record has changed since last read" (MariaDB with snapshot isolation)."""
POSTGRESQL_STATES: Final = {"40001", "40P01"}


def is_conflict(error: Exception) -> bool:
    """Whether nothing was done and the same transaction may well succeed now."""
    if not isinstance(error, OperationalError):
        return False
    cause = error.__cause__
    return (
        getattr(cause, "sqlstate", None) in POSTGRESQL_STATES
        or bool(cause is not None and cause.args and cause.args[0] in MARIADB_CODES)
        or "database is locked" in str(error)
    )


def retry_on_conflict(transaction: Callable[[], Result]) -> Result:
    """The result of ``transaction``, which opens and commits its own; at most ten tries with jitter."""
    for attempt in stamina.retry_context(on=is_conflict, attempts=10, wait_initial=0.01, wait_max=0.5, timeout=60):
        with attempt:
            return transaction()
    raise AssertionError("stamina re-raises the last error")
