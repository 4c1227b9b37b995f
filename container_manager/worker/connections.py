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


def prepare_connections(using: str) -> None:
    """
    From now on a connection of this process stays open, and the server ends one idle in a transaction too long.

    Too long is ``WORKER_TIMEOUT``: a worker frozen in the middle of a claim would otherwise keep
    the host's row locked for everybody. SQLite has no server that could: there the others wait.
    A ``CONN_MAX_AGE`` above 0 is obeyed; 0, made for requests, would be a new connection with
    every tick.
    """

    def on_connection(sender: object, connection: BaseDatabaseWrapper, **_: Any) -> None:
        if connection.alias == using:
            _keep(connection)
            _bound(connection)

    connection_created.connect(on_connection, weak=False, dispatch_uid=f"container_manager.worker.{using}")
    if connections[using].connection is not None:
        _keep(connections[using])
        _bound(connections[using])


def _keep(connection: BaseDatabaseWrapper) -> None:
    if connection.settings_dict["CONN_MAX_AGE"] == 0:
        connection.close_at = None


def _bound(connection: BaseDatabaseWrapper) -> None:
    seconds = conf.get("WORKER_TIMEOUT")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false)", [str(int(seconds * 1000))]
            )
        elif connection.vendor == "mysql" and getattr(connection, "mysql_is_mariadb", False):
            cursor.execute("SET SESSION idle_transaction_timeout = %s", [math.ceil(seconds)])
