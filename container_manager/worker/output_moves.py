"""The output of ended attempts moves out of the database, where ``OUTPUT_STORE`` names a storage."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from uuid_utils.compat import uuid7

from container_manager import conf
from container_manager.models import JobAttempt, JobFile, JobLog
from container_manager.models.file import OWN_FOLDER, delete_contents
from container_manager.models.stored_output import Chunk, compress
from container_manager.worker.calls import Calls

logger = logging.getLogger(__name__)

THREADS: Final = 4
AT_ONCE: Final = 32
"""Attempts on their way; each is in memory, up to twice ``LOG_MAX_BYTES``."""
PAUSE_SECONDS: Final = 60.0
"""After a storage did not take one."""


class OutputMoves:
    """
    Stores the output of ended attempts, compressed, one file each, and then drops its rows. Never touches an outcome.

    The file's row is written before the file, and is ready in the transaction in which the chunks go: until
    then they are what is read, so a storage that is down only keeps them longer. Whoever dies between leaves
    a row by which retention deletes the file. Safe with any number of workers: one of them drops the chunks.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._calls = Calls("output", THREADS, threading.Event())
        self._moving: set[UUID] = set()
        self._refused: dict[UUID, JobFile] = {}
        """What a storage did not take: tried again under the same name."""
        self._next = 0.0

    def tick(self) -> int:
        """What was stored is in its place, and more is on its way; returns how many are."""
        self._calls.deliver()
        store = conf.get("OUTPUT_STORE")
        if store not in (None, conf.DATABASE) and not self._moving and time.monotonic() >= self._next:
            self._begin(store)
        return len(self._moving)

    def close(self) -> None:
        self._calls.close()

    def _begin(self, store: str) -> None:
        # The first chunk of an output is always kept, and what was moved has none: this finds only what is left.
        ended = JobLog.objects.using(self._using).filter(sequence=0, attempt__finished_at__isnull=False)
        ids = list(ended.order_by("pk").values_list("attempt_id", flat=True)[:AT_ONCE])
        attempts = JobAttempt.objects.using(self._using).filter(pk__in=set(ids) - self._refused.keys())
        fresh = {attempt.pk: _row(attempt, store) for attempt in attempts}
        JobFile.objects.using(self._using).bulk_create(fresh.values())
        again = {attempt_id: self._refused[attempt_id] for attempt_id in ids if attempt_id in self._refused}
        self._refused.clear()
        for attempt_id, row in {**fresh, **again}.items():
            chunks = JobLog.objects.using(self._using).filter(attempt_id=attempt_id).order_by("sequence")
            read = [(sequence, bytes(data)) for sequence, data in chunks.values_list("sequence", "data")]
            self._moving.add(attempt_id)
            self._calls.submit(partial(self._on_stored, attempt_id, row), _store, row, read, attempt_id in again)

    def _on_stored(self, attempt_id: UUID, row: JobFile, _: object, error: Exception | None) -> None:
        self._moving.discard(attempt_id)
        if error is not None:
            self._next = time.monotonic() + PAUSE_SECONDS
            self._refused[attempt_id] = row
            logger.warning("output stays in the database: %s: %s", type(error).__name__, error)
        elif not self._publish(attempt_id, row):
            # Another worker was quicker: nothing of this try stays.
            delete = partial(delete_contents, {row.storage: [row.stored_name]})
            self._calls.submit(partial(self._on_deleted, row), delete)

    def _publish(self, attempt_id: UUID, row: JobFile) -> bool:
        chunks = JobLog.objects.using(self._using).filter(attempt_id=attempt_id)
        with transaction.atomic(using=self._using):
            if not chunks.filter(sequence=0).delete()[0]:
                return False
            chunks.delete()
            row.is_ready = True
            row.save(using=self._using)
        return True

    def _on_deleted(self, row: JobFile, left: set[tuple[str, str]] | None, error: Exception | None) -> None:
        if error is None and not left:
            JobFile.objects.using(self._using).filter(pk=row.pk, is_ready=False).delete()


def _row(attempt: JobAttempt, store: str) -> JobFile:
    folder = f"{OWN_FOLDER}output/{attempt.job_id.hex}"
    return JobFile(
        job_id=attempt.job_id, attempt=attempt.number, direction=JobFile.Direction.LOG, name="output",
        path=f"{attempt.number}.gz", storage=store, is_ready=False,
        stored_name=f"{folder}/{attempt.number}-{uuid7().hex}.gz",
    )  # fmt: skip


def _store(row: JobFile, chunks: Sequence[Chunk], is_again: bool) -> None:
    content = compress(chunks)
    if is_again:
        storages[row.storage].delete(row.stored_name)
    row.stored_name = storages[row.storage].save(row.stored_name, ContentFile(content))
    row.size, row.sha256 = len(content), hashlib.sha256(content).hexdigest()
