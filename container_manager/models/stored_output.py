"""An attempt's output as one compressed file: its chunks, numbered as their rows were."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, cast

from container_manager.models.attempt import JobAttempt
from container_manager.models.file import JobFile

_HEADER: Final = struct.Struct(">II")

Chunk = tuple[int, bytes]
"""Its sequence, and its frames as ``models.log.pack`` makes them."""


def compress(chunks: Iterable[Chunk]) -> bytes:
    return gzip.compress(b"".join(_HEADER.pack(sequence, len(data)) + data for sequence, data in chunks), mtime=0)


def log_file(attempt: JobAttempt) -> JobFile | None:
    """Where the output of ``attempt`` was moved to, if it was."""
    rows = JobFile.objects.using(attempt._state.db).filter(job_id=attempt.job_id, attempt=attempt.number)
    return rows.filter(direction=JobFile.Direction.LOG, is_ready=True).first()


def stored_chunks(file: JobFile, first: int) -> Iterator[Chunk]:
    """The chunks from the sequence ``first`` on. Raises what the storage raises."""
    with file.open() as stored, gzip.GzipFile(fileobj=cast(BinaryIO, stored)) as unpacked:
        while header := unpacked.read(_HEADER.size):
            sequence, length = _HEADER.unpack(header)
            data = unpacked.read(length)
            if sequence >= first:
                yield sequence, data
