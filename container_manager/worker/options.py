"""How a worker is told to work."""

from __future__ import annotations

from dataclasses import dataclass, field

from container_manager import conf
from container_manager.hosts import node_name


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """
    ``queues`` and ``hosts`` empty = all that its hosts serve, all that its node reaches.

    ``concurrency``: most jobs in its hands at once. ``drain``: end when no job of its queues is
    queued or active. ``poll_interval``: seconds between looks at an idle queue.
    """

    queues: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    node: str = field(default_factory=node_name)
    concurrency: int = 10
    start_concurrency: int = 8
    drain: bool = False
    poll_interval: float = field(default_factory=lambda: float(conf.get("POLL_INTERVAL")))
    health_file: str = ""
