"""What passes from a job's output into rows: no secrets, and what it says of its progress."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from container_manager.exceptions import SecretError
from container_manager.masking import Masker
from container_manager.models import ContainerJob
from container_manager.ownership import Claim
from container_manager.progress import Progress, ProgressReader
from container_manager.secret_references import resolve_all
from container_manager.specs import LogBatch, LogEntry, Stream
from container_manager.sql.rowvalues import each_row
from container_manager.states import Status

logger = logging.getLogger(__name__)

WITHHELD: Final = b"[output withheld: its secrets cannot be resolved any more, so that they could not be masked]\n"


class OutputReader:
    """The output of one attempt as its owner reads it, batch by batch."""

    def __init__(self, claim: Claim) -> None:
        """Follows the references of the job's secrets, unless its launch has done so."""
        self._is_withheld = self._has_said_so = False
        self._progress = ProgressReader()
        self.progress: Progress | None = None
        """The last that was read and not taken yet."""
        if claim.masker is None and claim.job.secrets:
            try:
                claim.masker = Masker(resolve_all(claim.job.secrets).values)
            except SecretError as error:
                logger.warning("output withheld: %s", error, extra={"job": str(claim.job.pk)})
                self._is_withheld = True
        self._masker = claim.masker or Masker(())

    def read(self, batch: LogBatch, *, is_end: bool, must_take: bool) -> LogBatch | None:
        """
        ``batch`` as it may be kept. ``None``: read it again from its beginning, with what follows.

        With ``must_take`` or at the end that is no answer.
        """
        entries: tuple[LogEntry, ...] | None = batch.entries
        if self._is_withheld and batch.entries:
            entries = () if self._has_said_so else (LogEntry(Stream.STDERR, WITHHELD),)
            self._has_said_so = True
        elif self._masker.is_needed:
            entries = self._masker.mask_entries(batch.entries, must_take=must_take or is_end)
        if entries is None:
            return None
        self.progress = self._progress.read(entries, is_end=is_end) or self.progress
        return batch if entries is batch.entries else replace(batch, entries=entries)

    def mask(self, text: str) -> str:
        """``text`` without any secret."""
        masked: str = self._masker.mask_value(text)
        return masked


def store_progress(told: Mapping[UUID, Progress], worker: UUID, using: str) -> None:
    """Each job, by its id, that ``worker`` still runs shows its progress. One statement."""
    if not told:
        return
    columns: dict[str, dict[UUID, Any]] = {
        "progress": {job_id: progress.percent for job_id, progress in told.items()},
        "progress_text": {job_id: progress.text for job_id, progress in told.items()},
    }
    ContainerJob.objects.using(using).filter(pk__in=list(told), worker=worker, status=Status.RUNNING).update(
        **{name: each_row(ContainerJob, name, values, rows=len(told)) for name, values in columns.items()}
    )
