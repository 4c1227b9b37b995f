"""A job's output in the database: framed chunks, so that both streams keep one order in few rows."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import models

from container_manager.specs import LogEntry, Stream

_FRAME: Final = struct.Struct(">BQI")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STREAMS: Final = (Stream.STDOUT, Stream.STDERR)


def pack(entry: LogEntry) -> bytes:
    """One entry as a frame: stream, microseconds since the epoch (0 = unknown), length, bytes."""
    moment = max(0, (entry.at - _EPOCH) // _MICROSECOND) if entry.at else 0
    return _FRAME.pack(_STREAMS.index(entry.stream), moment, len(entry.data)) + entry.data


def unpack(data: bytes) -> Iterator[LogEntry]:
    """The entries of a chunk, in order."""
    view, position = memoryview(data), 0
    while position < len(view):
        stream, moment, length = _FRAME.unpack_from(view, position)
        position += _FRAME.size
        at = _EPOCH + moment * _MICROSECOND if moment else None
        yield LogEntry(_STREAMS[stream], bytes(view[position : position + length]), at)
        position += length


class JobLog(models.Model):
    """
    A chunk of an attempt's output, at most 64 KiB, both streams in one sequence.

    Bytes are kept as they came: NUL and invalid UTF-8 included.
    """

    attempt = models.ForeignKey(
        "container_manager.JobAttempt",
        on_delete=models.CASCADE,
        related_name="logs",
        db_constraint=False,
        db_index=False,
    )
    sequence = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["attempt", "sequence"], name="cm_log_sequence"),)

    def __str__(self) -> str:
        return f"chunk {self.sequence} of attempt {self.attempt_id}"

    def entries(self) -> Iterator[LogEntry]:
        return unpack(bytes(self.data))
