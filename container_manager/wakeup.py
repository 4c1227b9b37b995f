"""PostgreSQL's notification with the commit that queues jobs, for programs that listen. The workers poll."""

from __future__ import annotations

from typing import Final

from container_manager import conf

CHANNEL: Final = "container_manager"
"""The payload is the queue; the server delivers equal notifications of a transaction once, at its commit."""


def woken(source: str) -> str:
    """
    A query that notifies the listeners of each queue in ``source``, if ``NOTIFY`` is on; its one row is ``told``.

    ``source`` has the column ``queue``. To be selected from: PostgreSQL leaves out what nobody reads.
    """
    if not conf.get("NOTIFY"):
        return "SELECT 0 AS told"
    queues = f"(SELECT DISTINCT queue FROM {source}) AS ready"  # noqa: S608 - our own names
    return f"SELECT count(pg_notify('{CHANNEL}', queue)) AS told FROM {queues}"  # noqa: S608 - our own names
