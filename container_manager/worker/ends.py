"""A thread that listens to what an engine tells of ends, so that a worker need not wait for its next look."""

from __future__ import annotations

import logging
import queue
import threading

from container_manager.exceptions import ExecutorError
from container_manager.executors import Executor
from container_manager.executors.base import EndStream

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
CLOSING_SECONDS = 1.0


class EndListener:
    """
    Names of executions that one executor says have ended. A hint only: nothing relies on it.

    Does nothing where the executor tells no ends.
    """

    def __init__(self, executor: Executor, name: str, wake: threading.Event) -> None:
        self._executor, self._name, self._wake = executor, name, wake
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._stream: EndStream | None = None
        self._thread: threading.Thread | None = None
        if executor.supports_ends:
            # A daemon: an engine that hangs must not hold up the exit.
            self._thread = threading.Thread(target=self._listen, name=f"ends-{name}", daemon=True)
            self._thread.start()

    def take(self) -> set[str]:
        """The names told since the last call."""
        names: set[str] = set()
        while not self._told.empty():
            names.add(self._told.get_nowait())
        return names

    def close(self) -> None:
        """Nothing is listened to any more, soon even where the engine hangs."""
        self._closing.set()
        if self._stream is not None:
            self._stream.close()
        if self._thread is not None:
            # One that wakes up while Python is being taken down aborts the process.
            self._thread.join(timeout=CLOSING_SECONDS)

    def _listen(self) -> None:
        pause = FIRST_PAUSE
        while not self._closing.is_set():
            self._stream = self._executor.ends()
            if self._closing.is_set():
                return
            try:
                for handle in self._stream:
                    pause = FIRST_PAUSE
                    self._told.put(handle.name)
                    self._wake.set()
            except ExecutorError as error:
                logger.info("not told of ends on %s, only seen at each look: %s", self._name, error)
            except Exception:
                # The thread's edge: without it ends are seen later, and nothing else changes.
                logger.exception("unforeseen error while listening to %s", self._name)
            self._closing.wait(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
