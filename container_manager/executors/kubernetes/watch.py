"""
A list of the cluster's objects that keeps itself up to date: listed once, then watched.

One watch for all objects with a label. It is opened anew every minute, so that a dead connection is noticed, and
after ten minutes everything is listed again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from urllib3 import HTTPResponse

from container_manager.exceptions import ContainerManagerError, ExecutorUnavailableError
from container_manager.executors.kubernetes import readers
from container_manager.executors.kubernetes.client import Object, Page, lines, shut
from container_manager.executors.kubernetes.errors import ExpiredError, answer_kind
from container_manager.executors.kubernetes.store import Facts, Store

logger = logging.getLogger(__name__)

WATCH_SECONDS: Final = 60
RELIST_SECONDS: Final = 600
IDLE_SECONDS: Final = 180
"""Nobody has looked for so long: the watch ends, and begins again at the next look."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0

Kept = TypeVar("Kept", bound=Facts)


class WatchedList(Generic[Kept]):
    """
    Fills ``store`` from a thread of its own, as long as somebody looks.

    ``list_pages`` gives all objects, ``open_watch(version, seconds)`` what changes from a version on, ``facts`` what is
    kept of one. ``on_change`` is called in the thread. All methods may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        store: Store[Kept],
        *,
        list_pages: Callable[[], Iterator[Page]],
        open_watch: Callable[[str, int], HTTPResponse],
        facts: Callable[[Object], Kept | None],
        on_change: Callable[[], None],
    ) -> None:
        self._name, self._store = name, store
        self._list_pages, self._open_watch, self._facts, self._on_change = list_pages, open_watch, facts, on_change
        self._lock = threading.Lock()
        self._is_listed = threading.Event()
        self._wake = threading.Event()
        self._error: ContainerManagerError | None = None
        self._thread: threading.Thread | None = None
        self._looked_at = 0.0
        self._response: HTTPResponse | None = None
        self._is_closed = False

    def look(self, seconds: float) -> list[Kept]:
        """All there are. The first look waits for the list. Raises what the cluster last answered with, if it fails."""
        with self._lock:
            self._looked_at = time.monotonic()
            if self._thread is None and not self._is_closed:
                self._is_listed.clear()
                self._thread = readers.start(f"kubernetes-{self._name}", self._run, self._end)
        if not self._is_listed.wait(seconds):
            raise ExecutorUnavailableError(f"Kubernetes did not list its {self._name} within {seconds:g} s.")
        error = self._error
        if error is not None:
            raise error
        return self._store.all()

    @property
    def is_current(self) -> bool:
        """Is the store up to date without a request?"""
        return self._thread is not None and self._is_listed.is_set() and self._error is None

    def close(self) -> None:
        """The watch has ended, at the latest five seconds later."""
        thread = self._thread
        self._end()
        if thread is not None:
            thread.join(timeout=5)

    def _end(self) -> None:
        self._is_closed = True
        self._wake.set()
        response = self._response
        if response is not None:
            shut(response)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._may_end():
            try:
                self._follow(self._list())
                pause = FIRST_PAUSE
            except ExpiredError:
                self._wake.wait(FIRST_PAUSE)
            except ContainerManagerError as error:
                self._fail(error)
            except Exception:
                logger.exception("unforeseen error while watching %s", self._name)
                self._fail(ExecutorUnavailableError(f"The watch of the {self._name} failed: the log has why."))
            if self._error is not None:
                self._wake.wait(pause * random.uniform(0.5, 1))  # noqa: S311 - so that workers do not come together
                pause = min(LONGEST_PAUSE, pause * 2)

    def _is_idle(self) -> bool:
        return self._is_closed or time.monotonic() - self._looked_at > IDLE_SECONDS

    def _may_end(self) -> bool:
        # Under the lock under which a look begins it anew.
        with self._lock:
            if self._is_idle():
                self._thread = self._error = None
                return True
            return False

    def _list(self) -> str:
        version = ""
        listed: list[Kept] = []
        for page in self._list_pages():
            version = page.version
            listed += [facts for item in page.items if (facts := self._facts(item)) is not None]
        self._store.replace(listed, version)
        self._error = None
        self._is_listed.set()
        self._on_change()
        return version

    def _follow(self, version: str) -> None:
        """Until it is time to list again."""
        listed_at = time.monotonic()
        while time.monotonic() - listed_at < RELIST_SECONDS and not self._is_idle():
            opened_at = time.monotonic()
            self._response = self._open_watch(version, WATCH_SECONDS)
            if self._is_closed:
                self._response.close()
                return
            try:
                for event in lines(self._response):
                    version = self._take(event)
            except ExpiredError:
                raise
            except ExecutorUnavailableError as error:
                # It breaks now and then; only if it cannot be opened again is that a trouble.
                logger.debug("watch of %s: %s", self._name, error)
            finally:
                self._response = None
            # One that ends as soon as it is opened must not be asked for without a pause.
            self._wake.wait(max(0.0, opened_at + FIRST_PAUSE - time.monotonic()))

    def _take(self, event: Object) -> str:
        """What the event tells is kept; returns the version from which the watch goes on."""
        kind, found = event["type"], event["object"]
        if kind == "ERROR":
            words = f"{found.get('reason')} {found.get('message')}"
            raise answer_kind(found.get("code") or 500, words)(f"Watching the {self._name}: {words}")
        version: str = found["metadata"]["resourceVersion"]
        facts = None if kind == "BOOKMARK" else self._facts(found)
        if facts is not None:
            if kind == "DELETED":
                self._store.strike(facts)
            else:
                self._store.keep(facts)
            self._on_change()
        return version

    def _fail(self, error: ContainerManagerError) -> None:
        self._error = error
        self._is_listed.set()
        self._on_change()
