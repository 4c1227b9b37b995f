"""A function in a thread that can be told that its time is up."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

from container_manager.exceptions import HandlerTimeoutError

Result = TypeVar("Result")


class _TimeUp(BaseException):
    """Raised in the thread. No ``Exception``: a function that swallows those must still end."""


class Interruptible:
    """
    One call that another thread may interrupt.

    Python raises the interruption between two of its own instructions. A call that waits in C,
    for a socket without a timeout for example, goes on until that returns.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None
        self.is_interrupted = False

    def run(self, function: Callable[[], Result]) -> Result:
        """What ``function`` returns or raises; ``HandlerTimeoutError`` when it was interrupted."""
        try:
            with self._lock:
                self._thread = threading.get_ident()
            try:
                return function()
            finally:
                self._end()
        except _TimeUp:
            raise HandlerTimeoutError("It ran longer than HANDLER_TIMEOUT, or its worker stopped.") from None

    def interrupt(self) -> None:
        """Once, and only while the function runs."""
        if self.is_interrupted:
            return
        with self._lock:
            if self._thread is not None:
                self.is_interrupted = True
                _raise_in(self._thread, _TimeUp)

    def _end(self) -> None:
        with self._lock:
            if self._thread is not None and self.is_interrupted:
                # Not raised yet, then: nothing may hit what the thread does next.
                _raise_in(self._thread, None)
            self._thread = None


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    wanted = ctypes.py_object(error) if error else ctypes.py_object()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)
