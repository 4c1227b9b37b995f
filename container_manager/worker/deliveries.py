"""The outbox in a worker's hands: calls taken, delivered in threads, renewed meanwhile, and written down."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from django.db import connections

from container_manager import conf
from container_manager.handlers import delivery
from container_manager.models import HandlerCall
from container_manager.worker.calls import Calls
from container_manager.worker.time_limit import Interruptible

logger = logging.getLogger(__name__)

STOP_SECONDS: Final = 10.0
"""How long a stopping worker waits for its handlers before it interrupts them."""


@dataclass(slots=True)
class _Delivery:
    call: HandlerCall
    since: float = field(default_factory=time.monotonic)
    interruptible: Interruptible = field(default_factory=Interruptible)


class Deliveries:
    """
    Delivers handler calls in at most ``HANDLER_THREADS`` threads. All methods run in the worker's thread.

    A handler has a database connection of its own. The lease is renewed as long as its thread
    lives, also past the time limit, so no other worker begins the same call meanwhile.
    """

    def __init__(self, worker: UUID, using: str, wake: threading.Event) -> None:
        self._worker, self._using = worker, using
        self._threads = int(conf.get("HANDLER_THREADS"))
        self._calls = Calls("handler", self._threads, wake)
        self._running: dict[int, _Delivery] = {}
        self._next_renewal = 0.0

    @property
    def is_idle(self) -> bool:
        return not self._running

    def take(self) -> int:
        """Due calls are being delivered, as far as threads are free; returns how many were taken."""
        taken = delivery.take(self._worker, self._using, limit=self._threads - len(self._running))
        for call in taken:
            entry = self._running[call.pk] = _Delivery(call)
            self._calls.submit(partial(self._on_answer, entry), _run, entry)
        return len(taken)

    def tick(self) -> int:
        """What ended is written down, what runs too long interrupted; returns how many ended."""
        ended = self._calls.deliver()
        now = time.monotonic()
        for entry in self._running.values():
            if now - entry.since > conf.get("HANDLER_TIMEOUT"):
                entry.interruptible.interrupt()
        if self._running and now >= self._next_renewal:
            self._next_renewal = now + delivery.lease_seconds() / 3
            delivery.renew([entry.call for entry in self._running.values()], self._using)
        return ended

    def close(self) -> None:
        """What runs gets a while to end, and is interrupted then: the calls are tried again by another worker."""
        deadline = time.monotonic() + STOP_SECONDS
        while self._running and time.monotonic() < deadline + STOP_SECONDS / 2:
            self.tick()
            if time.monotonic() > deadline:
                for entry in self._running.values():
                    entry.interruptible.interrupt()
            time.sleep(0.02)
        if self._running:
            logger.warning("%s handlers do not end; their calls follow when the lease is over", len(self._running))
        self._calls.close()

    def _on_answer(self, entry: _Delivery, _: object, error: Exception | None) -> None:
        self._running.pop(entry.call.pk, None)
        if error is None:
            delivery.record_delivered(entry.call, self._using)
        else:
            delivery.record_failure(entry.call, error, self._using)


def _run(entry: _Delivery) -> None:
    try:
        entry.interruptible.run(partial(delivery.deliver, entry.call))
    except (SystemExit, KeyboardInterrupt) as error:
        # Neither may end the worker for one handler's sake.
        raise RuntimeError(f"The handler raised {error!r}.") from error
    finally:
        connections.close_all()
