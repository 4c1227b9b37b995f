"""A thread that hears PostgreSQL's notifications, so that a worker need not wait for its next look."""

from __future__ import annotations

import logging
import random
import selectors
import socket
import threading
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from django.db import connections

from container_manager import conf
from container_manager.wakeup import ARRIVALS, STOPS

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
APPLICATION_NAME: Final = "container_manager listener"
_DEFAULTS: Final = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""So that a server which vanished without a word is noticed within a minute."""


class Listener:
    """
    What was heard since the last time, on a connection of its own. A hint only: nothing relies on it.

    Does nothing on other databases, nor where ``NOTIFY`` or ``LISTEN`` says so. A connection that
    breaks is made again, with growing pauses, and whoever asks is told of everything then.
    """

    def __init__(self, worker: UUID, using: str, wake: threading.Event) -> None:
        self._worker, self._using, self._wake = str(worker), using, wake
        self._lock = threading.Lock()
        self._queues: set[str] | None = set()
        """``None`` = any: something may have been missed."""
        self._has_stops = False
        self._closing = threading.Event()
        self._bell, self._hammer = socket.socketpair()
        self._thread: threading.Thread | None = None
        self.is_listening = False
        """Whether a commit of a job is heard now, as far as can be known: not through a pooler."""

    def start(self) -> None:
        connection: Any = connections[self._using]
        if connection.vendor != "postgresql" or not conf.get("NOTIFY") or conf.get("LISTEN") is None:
            return
        if connection.Database.__name__ != "psycopg":
            logger.info("Without psycopg 3 queued jobs are only seen at each look.")
            return
        # A daemon: a server that hangs must not hold up the exit.
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def take_arrivals(self, queues: Iterable[str]) -> bool:
        """Whether a job may have come into one of ``queues`` since the last call."""
        with self._lock:
            heard, self._queues = self._queues, set()
        return heard is None or not heard.isdisjoint(queues)

    def take_stops(self) -> bool:
        """Whether an attempt of this worker may have been asked to stop since the last call."""
        with self._lock:
            heard, self._has_stops = self._has_stops, False
        return heard

    def close(self) -> None:
        """Nothing is listened to any more."""
        self._closing.set()
        self._hammer.send(b"!")
        if self._thread is not None:
            self._thread.join(timeout=5)
        if self._thread is None or not self._thread.is_alive():
            self._bell.close()
            self._hammer.close()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        connection: Any = connections[self._using]
        while not self._closing.is_set():
            try:
                with self._connect() as session:
                    self._listen(session)
                    pause = FIRST_PAUSE
                    self._hear(session)
            except (connection.Database.Error, OSError) as error:
                logger.info("queued jobs are only seen at each look: %s", error, extra={"worker": self._worker})
            except Exception:
                # The thread's edge: without it jobs are seen later, and nothing else changes.
                logger.exception("unforeseen error while listening", extra={"worker": self._worker})
            finally:
                self.is_listening = False
            self._closing.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _connect(self) -> Any:
        connection: Any = connections[self._using]
        own = {"autocommit": True, "application_name": APPLICATION_NAME, **conf.get("LISTEN")}
        return connection.Database.connect(**{**_DEFAULTS, **connection.get_connection_params(), **own})

    def _listen(self, session: Any) -> None:
        for channel in (ARRIVALS, STOPS):
            session.execute(f"LISTEN {channel}")
        (backend,) = session.execute("SELECT pg_backend_pid()").fetchone()
        # A pooler gives its clients numbers of its own.
        self.is_listening = backend == session.info.backend_pid
        if not self.is_listening:
            logger.info("Behind a pooler notifications may be lost: CONTAINER_MANAGER['LISTEN'] can lead past it.")
        with self._lock:
            self._queues, self._has_stops = None, True
        self._wake.set()

    def _hear(self, session: Any) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(session.fileno(), selectors.EVENT_READ)
            selector.register(self._bell, selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select()
                for heard in session.notifies(timeout=0):
                    self._note(heard.channel, heard.payload)

    def _note(self, channel: str, payload: str) -> None:
        with self._lock:
            if channel == ARRIVALS and self._queues is not None:
                self._queues.add(payload)
            elif channel == STOPS and payload == self._worker:
                self._has_stops = True
        self._wake.set()
