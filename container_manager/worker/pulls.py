"""The progress of pulls, told in the executor's threads and noted in the timeline of the jobs that wait for them."""

from __future__ import annotations

import queue
import time
from collections.abc import Collection
from typing import Final
from uuid import UUID

from container_manager import lifecycle
from container_manager.executors import Executor
from container_manager.models import TABLES
from container_manager.services.executions import image_of
from container_manager.specs import PullProgress
from container_manager.states import Verb
from container_manager.worker.watch import Phase, Watch

NOTE_INTERVAL: Final = 10.0
"""Seconds between two notes on one image."""


class PullNotes:
    """
    Listens to one executor, and writes in the worker's own thread.

    Every job whose creation waits for an image has the notes on it, not only the one whose thread pulls.
    """

    def __init__(self, executor: Executor, worker: UUID, using: str) -> None:
        self._executor, self._worker, self._using = executor, worker, using
        self._told: queue.SimpleQueue[PullProgress] = queue.SimpleQueue()
        self._latest: dict[str, PullProgress] = {}
        self._next_note: dict[str, float] = {}
        self._listener = self._told.put
        executor.on_progress = self._listener

    def tick(self, watches: Collection[Watch]) -> None:
        """The latest of each image is in its jobs' timelines, where a note on it is due."""
        while not self._told.empty():
            progress = self._told.get_nowait()
            self._latest[progress.image] = progress
        for image in list(self._latest):
            self._note(image, [w for w in watches if w.phase is Phase.CREATING and image_of(w.claim.job) == image])

    def _note(self, image: str, waiting: Collection[Watch]) -> None:
        now = time.monotonic()
        if waiting and now < self._next_note.get(image, 0.0):
            return
        if waiting:
            subjects = [watch.claim.subject for watch in waiting]
            message = str(self._latest[image])
            lifecycle.record(TABLES, self._using, subjects, Verb.NOTE, actor=str(self._worker), message=message)
            self._next_note[image] = now + NOTE_INTERVAL
        else:
            self._next_note.pop(image, None)
        del self._latest[image]

    def close(self) -> None:
        """Nothing is listened to any more."""
        if self._executor.on_progress is self._listener:
            self._executor.on_progress = None
