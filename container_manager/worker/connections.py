"""What a worker asks of its database sessions."""

from __future__ import annotations

import math
from typing import Any, Final

from django.db import InterfaceError, InternalError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from container_manager import conf

OUTAGES: Final = (OperationalError, InterfaceError, InternalError)
"""What a database that went away says; ``InternalError`` when it ended the session inside a transaction."""


def bound_idle_transactions(using: str) -> None:
    """
    From now on the server ends a session of this process that sits idle in a transaction for ``WORKER_TIMEOUT``.

    A worker frozen in the middle of a claim would otherwise keep the host's row locked for
    everybody. SQLite has no server that could: there the others wait.
    """

    def on_connection(sender: object, connection: BaseDatabaseWrapper, **_: Any) -> None:
        if connection.alias == using:
            _bound(connection)

    connection_created.connect(on_connection, weak=False, dispatch_uid=f"container_manager.worker.{using}")
    if connections[using].connection is not None:
        _bound(connections[using])


def _bound(connection: BaseDatabaseWrapper) -> None:
    seconds = conf.get("WORKER_TIMEOUT")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false)", [str(int(seconds * 1000))]
            )
        elif connection.vendor == "mysql" and getattr(connection, "mysql_is_mariadb", False):
            cursor.execute("SET SESSION idle_transaction_timeout = %s", [math.ceil(seconds)])
