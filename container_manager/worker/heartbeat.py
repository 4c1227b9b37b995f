"""The worker's row and its heartbeat: a thread with a database connection of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from container_manager import conf
from container_manager.models import JobAttempt, Worker
from container_manager.processes import process_identity
from container_manager.sql.clock import DatabaseNow
from container_manager.worker.options import WorkerOptions

logger = logging.getLogger(__name__)


def register(worker_id: UUID, options: WorkerOptions, using: str) -> None:
    """The worker's row exists, with its first beat."""
    Worker.objects.using(using).create(
        pk=worker_id, node=options.node, process_id=os.getpid(), process_identity=process_identity(),
        concurrency=options.concurrency, started_at=DatabaseNow(), heartbeat_at=DatabaseNow(),
    )  # fmt: skip


class Heartbeat(threading.Thread):
    """
    Beats every ``HEARTBEAT_INTERVAL`` as long as the loop makes progress.

    A worker whose own beats fail fences itself: ``is_trusted`` turns false well before
    others may take its attempts over.
    """

    def __init__(self, worker_id: UUID, options: WorkerOptions, using: str) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._worker_id, self._options, self._using = worker_id, options, using
        self._is_over = threading.Event()
        self._hosts: list[int] = []
        now = time.monotonic()
        self._last_beat = self._last_tick = self._steady_since = now

    def serve(self, host_ids: Sequence[int]) -> None:
        """The row says which hosts the worker serves."""
        hosts = list(host_ids)
        if hosts != self._hosts:
            Worker.objects.using(self._using).filter(pk=self._worker_id).update(hosts=hosts)
            self._hosts = hosts

    def tick(self) -> None:
        """The loop made progress."""
        self._last_tick = time.monotonic()

    @property
    def is_trusted(self) -> bool:
        """Whether others still see this worker alive, with a margin of a third: it may claim and start."""
        age = time.monotonic() - self._last_beat
        return age < float(conf.get("WORKER_TIMEOUT")) * 2 / 3

    @property
    def steady_seconds(self) -> float:
        """How long it has beaten without a gap as long as ``WORKER_TIMEOUT``."""
        return time.monotonic() - self._steady_since

    @property
    def may_judge(self) -> bool:
        """Whether it has beaten for a ``WORKER_TIMEOUT`` without a gap: after an outage nobody is stale at once."""
        return self.is_trusted and self.steady_seconds >= float(conf.get("WORKER_TIMEOUT"))

    def run(self) -> None:
        while not self._is_over.wait(conf.get("HEARTBEAT_INTERVAL")):
            if time.monotonic() - self._last_tick > conf.get("WORKER_TIMEOUT"):
                logger.error(
                    "The worker's loop makes no progress; its heartbeat stops.", extra={"worker": str(self._worker_id)}
                )
                continue
            self._beat()
        connections.close_all()

    def _beat(self) -> None:
        close_old_connections()
        started = time.monotonic()
        try:
            row = Worker.objects.using(self._using).filter(pk=self._worker_id)
            if not row.update(heartbeat_at=DatabaseNow(), hosts=self._hosts):
                # Taken for dead and cleared away; what it had was taken over, and it begins anew.
                register(self._worker_id, self._options, self._using)
                self._steady_since = started
        except (DatabaseError, InterfaceError) as error:
            logger.warning("No heartbeat: %s", error, extra={"worker": str(self._worker_id)})
            connections[self._using].close()
            return
        if started - self._last_beat >= conf.get("WORKER_TIMEOUT"):
            self._steady_since = started
        self._last_beat = started

    def stop(self) -> None:
        """No more beats; its connection is closed."""
        self._is_over.set()
        self.join(timeout=10)


def clear_dead_workers(using: str) -> int:
    """Rows of workers that have been dead for long and own nothing are gone; returns how many."""
    owners = JobAttempt.objects.using(using).filter(active_job__isnull=False, worker__isnull=False).values("worker")
    age = timedelta(seconds=10 * max(conf.get("WORKER_TIMEOUT"), conf.get("START_TIMEOUT")))
    dead = Worker.objects.using(using).filter(heartbeat_at__lt=DatabaseNow() - age).exclude(pk__in=owners)
    return dead.delete()[0]


def deregister(worker_id: UUID, using: str) -> None:
    Worker.objects.using(using).filter(pk=worker_id).delete()
