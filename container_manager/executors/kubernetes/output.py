"""The output of executions: from their pods, and when those are gone, from what was heard of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from urllib3 import HTTPResponse

from container_manager.exceptions import ExecutionNotFoundError, ExecutorUnavailableError, SpecificationError
from container_manager.executors.kubernetes.client import Cluster, shut
from container_manager.executors.kubernetes.errors import LIBRARY_ERRORS
from container_manager.executors.kubernetes.facts import PodFacts
from container_manager.executors.kubernetes.inventory import Inventory
from container_manager.executors.kubernetes.last_words import LastWords, Log
from container_manager.executors.kubernetes.logs import Cursor, Entry, LogReader, OutOfPlaceError, entries_of
from container_manager.specs import LogBatch

SKEW_SECONDS: Final = 60
"""By so much the clocks of a node and of this machine may differ before a read costs more."""
MOST_OPEN: Final = 8
"""Logs that were read in part and are kept open, since the cluster can only begin them anew."""
HEARD_LINES: Final = 2000
HEARD_SECONDS: Final = 5.0


class Output:
    """Reads on from cursors. All methods may be called from any thread, for one execution by one at a time."""

    def __init__(self, cluster: Cluster, inventory: Inventory) -> None:
        self._cluster, self._inventory = cluster, inventory
        self._words = LastWords()
        self._open: dict[tuple[str, str], LogReader] = {}
        self._lock = threading.Lock()

    def read(self, name: str, since: str, limit_bytes: int) -> LogBatch:
        """What ``Executor.logs`` promises."""
        cursor = Cursor.parse(since)
        with self._lock:
            reader = self._open.pop((name, since), None)
        if reader is not None:
            try:
                return self._read_on(name, reader, limit_bytes)
            except ExecutorUnavailableError:
                pass  # it is opened anew
        pod = self._pod(name)
        if pod is not None:
            try:
                return self._read_pod(name, pod, cursor, limit_bytes)
            except (ExecutionNotFoundError, SpecificationError):
                pass  # it is gone by now, or its program has not begun
            except ExecutorUnavailableError:
                if self._words.of(name, 0) is None:
                    raise
        return self._heard(name, cursor, limit_bytes)

    def listen(self, name: str, pod: PodFacts) -> None:
        """``pod`` is about to be deleted: what it says from now on is kept."""
        if pod.started_at is not None:
            self._words.listen(name, lambda: self._stream_now(pod, tail_lines=HEARD_LINES, follow=True))

    def forget(self, name: str) -> None:
        """Nothing is kept of it any more."""
        self._words.forget(name)
        with self._lock:
            readers = [self._open.pop(key) for key in list(self._open) if key[0] == name]
        for reader in readers:
            reader.close()

    def close(self) -> None:
        with self._lock:
            readers, self._open = list(self._open.values()), {}
        for reader in readers:
            reader.close()
        self._words.close()

    def _pod(self, name: str) -> PodFacts | None:
        """The pod that has output; ``None`` = none yet, or none any more. ``ExecutionNotFoundError``: no such Job."""
        found = self._inventory.known(name)
        if not (self._inventory.is_current and found):
            found = next(iter(self._inventory.fresh({name})), None)
        if found is None:
            raise ExecutionNotFoundError(f"There is no execution {name} of this installation.")
        having = [pod for pod in found.pods if pod.started_at is not None and not pod.is_gone]
        return max(having, key=lambda pod: str(pod.created_at), default=None)

    def _read_pod(self, name: str, pod: PodFacts, cursor: Cursor, limit_bytes: int) -> LogBatch:
        age = max(0, int(time.time()) - cursor.second) + SKEW_SECONDS if cursor.taken else None
        try:
            return self._read_on(name, LogReader(self._stream(pod, since_seconds=age), cursor), limit_bytes)
        except OutOfPlaceError:
            pass
        return self._read_whole(name, lambda: self._stream(pod), cursor, limit_bytes)

    def _heard(self, name: str, cursor: Cursor, limit_bytes: int) -> LogBatch:
        words = self._words.of(name, HEARD_SECONDS)
        if words is None:
            return LogBatch((), str(cursor))
        return self._read_whole(name, lambda: iter(words), cursor, limit_bytes)

    def _read_whole(
        self, name: str, entries: Callable[[], Iterator[Entry]], cursor: Cursor, limit_bytes: int
    ) -> LogBatch:
        try:
            return self._read_on(name, LogReader(entries(), cursor), limit_bytes)
        except OutOfPlaceError:
            return self._read_on(name, LogReader(entries(), cursor, by_stamp=True), limit_bytes)

    def _read_on(self, name: str, reader: LogReader, limit_bytes: int) -> LogBatch:
        """The next batch; the reader is kept where there is more, else closed."""
        batch: LogBatch | None = None
        try:
            batch = reader.read(limit_bytes)
        finally:
            if batch is None or not batch.has_more:
                reader.close()
        if batch.has_more:
            with self._lock:
                self._open[name, batch.cursor] = reader
                dropped = [self._open.pop(next(iter(self._open))) for _ in range(len(self._open) - MOST_OPEN)]
            for other in dropped:
                other.close()
        return batch

    def _stream(self, pod: PodFacts, **part: int | None) -> Iterator[Entry]:
        """Opened at its first entry, closed at its end or with it."""
        yield from _entries(self._cluster.open_log(pod.name, **part))

    def _stream_now(self, pod: PodFacts, **part: int) -> Log:
        response = self._cluster.open_log(pod.name, **part)
        return Log(_entries(response), partial(shut, response))


def _entries(response: HTTPResponse) -> Iterator[Entry]:
    try:
        yield from entries_of(response.stream(1 << 16))
    except LIBRARY_ERRORS as error:
        raise ExecutorUnavailableError(f"The output could not be read on: {error}") from error
    finally:
        response.close()
        response.release_conn()
