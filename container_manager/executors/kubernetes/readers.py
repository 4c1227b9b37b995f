"""
Threads that read from the cluster, and have ended when the interpreter does.

One that is woken by an event while Python is being taken down aborts the process, whatever its work had come to.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from typing import Final

PATIENCE_SECONDS: Final = 5.0
"""A cluster that hangs must not hold up the exit for longer."""

_running: dict[threading.Thread, Callable[[], object]] = {}


def start(name: str, run: Callable[[], object], end: Callable[[], object]) -> threading.Thread:
    """``run()`` goes on in a thread of its own, a daemon. ``end()`` makes it return soon, and is called at the exit."""

    def work() -> None:
        try:
            run()
        finally:
            _running.pop(threading.current_thread(), None)

    thread = threading.Thread(target=work, name=name, daemon=True)
    _running[thread] = end
    thread.start()
    return thread


def end_all() -> None:
    """All have ended, or had ``PATIENCE_SECONDS`` for it."""
    running = dict(_running)
    for end in running.values():
        end()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for thread in running:
        thread.join(timeout=max(0.0, deadline - time.monotonic()))


atexit.register(end_all)
# A child has the connections of its parent, which reads on from them, and none of its threads.
os.register_at_fork(after_in_child=_running.clear)
