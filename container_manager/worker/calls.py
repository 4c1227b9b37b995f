"""Executor calls in threads, their answers in the worker's own thread."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

Answer = Callable[[Any, Exception | None], None]
Item = TypeVar("Item")


class Calls:
    """
    A bounded pool for one host, so that an engine that hangs delays no other.

    ``then(result, error)`` runs in the thread that calls ``deliver``; only that one touches
    the database.
    """

    def __init__(self, name: str, threads: int, wake: threading.Event) -> None:
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)
        self._done: queue.SimpleQueue[tuple[Future[Any], Answer]] = queue.SimpleQueue()
        self._wake = wake
        self.pending = 0

    def submit(self, then: Answer, function: Callable[..., Any], *args: Any) -> None:
        """``function(*args)`` is called in a thread; its result or error comes with a later ``deliver``."""
        self.pending += 1
        future = self._pool.submit(function, *args)
        future.add_done_callback(lambda done: self._finished(done, then))

    def submit_each(
        self,
        items: Sequence[Item],
        function: Callable[[Item], Any],
        then: Callable[[Item, Any, Exception | None], None],
        *,
        together: int,
    ) -> None:
        """
        As ``submit``, for each of ``items``: ``then(item, result, error)``.

        Up to ``together`` are called one after another in one thread, and answered together:
        for calls that are quick, since a thread's hand-over costs more than they do.
        """
        for start in range(0, len(items), together):
            self.submit(partial(_each_answer, then), _each_call, function, items[start : start + together])

    def _finished(self, future: Future[Any], then: Answer) -> None:
        self._done.put((future, then))
        self._wake.set()

    def deliver(self) -> int:
        """All answers that are in were handed over; returns how many."""
        count = 0
        while True:
            try:
                future, then = self._done.get_nowait()
            except queue.Empty:
                return count
            self.pending -= 1
            count += 1
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            then(None if error else future.result(), error)

    def close(self) -> None:
        """No more calls; those under way are left to end on their own."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _each_call(function: Callable[[Item], Any], items: Sequence[Item]) -> list[tuple[Item, Any, Exception | None]]:
    answers: list[tuple[Item, Any, Exception | None]] = []
    for item in items:
        try:
            answers.append((item, function(item), None))
        except Exception as error:  # noqa: BLE001 - handed over, as a future hands over its own
            answers.append((item, None, error))
    return answers


def _each_answer(
    then: Callable[[Item, Any, Exception | None], None],
    answers: list[tuple[Item, Any, Exception | None]] | None,
    error: Exception | None,
) -> None:
    if answers is None:
        raise error or AssertionError("no answers and no error")
    for answer in answers:
        then(*answer)
