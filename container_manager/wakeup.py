"""
PostgreSQL's notifications with a commit, which idle workers and other programs may hear. A hint: workers look as well.

The server delivers equal notifications of a transaction once, at its commit.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db import connections

from container_manager import conf

ARRIVALS: Final = "container_manager"
"""The channel on which jobs have come into a queue, or become ready; the payload is the queue."""
STOPS: Final = "container_manager_stops"
"""The channel on which an attempt was asked to stop; the payload is the worker that owns it."""


def woken(source: str, *, is_one: bool = False) -> str:
    """
    A query that notifies the listeners of each queue in ``source``, if ``NOTIFY`` is on; its one row is ``told``.

    ``source`` has the column ``queue``, and only one row if ``is_one``. To be selected from: PostgreSQL leaves
    out what nobody reads.
    """
    if not conf.get("NOTIFY"):
        return "SELECT 0 AS told"
    if is_one:
        return f"SELECT pg_notify('{ARRIVALS}', queue)::text AS told FROM {source}"  # noqa: S608 - our own names
    queues = f"(SELECT DISTINCT queue FROM {source}) AS arrived_in"  # noqa: S608 - our own names
    return f"SELECT count(pg_notify('{ARRIVALS}', queue)) AS told FROM {queues}"  # noqa: S608 - our own names


def notify(using: str, channel: str, payloads: Collection[str]) -> None:
    """Listeners of ``channel`` hear each of ``payloads`` at the commit: on PostgreSQL, if ``NOTIFY`` is on."""
    connection = connections[using]
    if connection.vendor == "postgresql" and payloads and conf.get("NOTIFY"):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_notify(%s, payload) FROM unnest(%s::text[]) AS payload", [channel, sorted(payloads)]
            )
