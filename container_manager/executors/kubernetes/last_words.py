"""
What programs say after they were asked to stop.

The node throws the output of a deleted pod away as soon as its program has ended. So whoever stops one listens until
its end, and has it when the rest of the output is asked for.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from container_manager.exceptions import ExecutorError
from container_manager.executors.kubernetes import readers
from container_manager.executors.kubernetes.logs import ENTRY_BYTES, Entry

logger = logging.getLogger(__name__)

MOST_LISTENERS: Final = 64
HEARD_OUT_SECONDS: Final = 2.0
MOST_BYTES: Final = 1 << 20
"""Of each program, the last."""


@dataclass(frozen=True, slots=True)
class Log:
    """``entries`` as they come; there are no more soon after ``end()``, from any thread."""

    entries: Iterator[Entry]
    end: Callable[[], object]


@dataclass(slots=True)
class _Heard:
    entries: deque[Entry] = field(default_factory=deque)
    size: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)


class LastWords:
    """Listens in threads of its own, to at most ``MOST_LISTENERS`` at once; to more there is no listening."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}
        self._lock = threading.Lock()

    def listen(self, name: str, open_log: Callable[[], Log]) -> None:
        """Returns when ``open_log()`` has been called, whose entries of ``name`` are kept from now on."""
        with self._lock:
            listening = sum(not heard.is_over.is_set() for heard in self._heard.values())
            if name in self._heard or listening >= MOST_LISTENERS:
                return
            heard = self._heard[name] = _Heard()
        try:
            log = open_log()
        except ExecutorError as error:
            logger.debug("cannot listen to %s: %s", name, error)
            self.forget(name)
            return
        readers.start(f"last-words-{name}", partial(_hear, heard, log.entries), log.end)

    def of(self, name: str, seconds: float) -> list[Entry] | None:
        """What was heard of ``name``; its end is awaited for ``seconds``. ``None`` = nobody listened."""
        heard = self._heard.get(name)
        if heard is None:
            return None
        heard.is_over.wait(seconds)
        return list(heard.entries)

    def forget(self, name: str) -> None:
        with self._lock:
            self._heard.pop(name, None)

    def close(self) -> None:
        """Waits for those who still speak, for a moment each."""
        for heard in list(self._heard.values()):
            heard.is_over.wait(HEARD_OUT_SECONDS)


def _hear(heard: _Heard, entries: Iterator[Entry]) -> None:
    try:
        for entry in entries:
            heard.entries.append(entry)
            heard.size += len(entry.data) + ENTRY_BYTES
            while heard.size > MOST_BYTES:
                heard.size -= len(heard.entries.popleft().data) + ENTRY_BYTES
    except (ExecutorError, ValueError) as error:
        logger.debug("stopped listening: %s", error)
    finally:
        heard.is_over.set()
