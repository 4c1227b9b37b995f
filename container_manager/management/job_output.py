"""A job's stored output on the command's own streams: bytes as they came, once or as they come."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.core.management.base import BaseCommand, OutputWrapper

from container_manager.management.rendering import note
from container_manager.models import ContainerJob, JobAttempt
from container_manager.models.output import OutputPosition, gap_line, read_output
from container_manager.specs import LogEntry, Stream
from container_manager.waiting import why_it_waits
from container_manager.wording import iso

LOOK_SECONDS: Final = 0.25
FIRST_NOTICE_SECONDS: Final = 3.0
NOTICE_SECONDS: Final = 10.0


class OutputPrinter:
    """
    Writes entries: standard output to standard output, standard error to standard error, in their order.

    A ``stream`` leaves the other out; ``has_timestamps`` begins each line with its time in UTC.
    """

    def __init__(self, command: BaseCommand, *, stream: str | None = None, has_timestamps: bool = False) -> None:
        self._targets = {Stream.STDOUT: command.stdout, Stream.STDERR: command.stderr}
        self._stream, self._has_timestamps = stream, has_timestamps
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in Stream}
        self._in_line = dict.fromkeys(Stream, False)
        self._last = Stream.STDOUT

    def print_stored(
        self, attempt: JobAttempt, after: OutputPosition | None = None, *, tail: int | None = None
    ) -> OutputPosition:
        """What is stored after a position, or its last ``tail`` lines, is written; returns how far that was."""
        position = after or OutputPosition()
        kept: list[LogEntry] = []
        for piece in read_output(attempt, position):
            gap = [LogEntry(Stream.STDERR, gap_line(attempt).encode())] if piece.is_after_gap else []
            wanted = [entry for entry in piece.entries if self._stream in (None, entry.stream)]
            if tail is None:
                self._write_all([*gap, *wanted])
            else:
                kept += [*gap, *wanted]
            position = piece.position
        if tail is not None:
            self._write_all(last_lines(kept, tail))
        self._targets[self._last].flush()
        return position

    def _write_all(self, entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            if entry.stream is not self._last:
                self._targets[self._last].flush()
                self._last = entry.stream
            self._write(entry)

    def _write(self, entry: LogEntry) -> None:
        target = self._targets[entry.stream]
        data = b"".join(self._stamped(entry)) if self._has_timestamps else entry.data
        buffer = getattr(target, "buffer", None)
        if buffer is not None:
            buffer.write(data)
        else:
            _write_text(target, self._decoders[entry.stream].decode(data))

    def _stamped(self, entry: LogEntry) -> Iterator[bytes]:
        for line in entry.data.splitlines(keepends=True):
            if not self._in_line[entry.stream] and entry.at is not None:
                yield f"{iso(entry.at)}  ".encode()
            yield line
            self._in_line[entry.stream] = not line.endswith((b"\n", b"\r"))


def _write_text(target: OutputWrapper, text: str) -> None:
    target.write(text, style_func=str, ending="")


def last_lines(entries: Sequence[LogEntry], count: int) -> list[LogEntry]:
    """The entries, cut to the last ``count`` lines of what they say together."""
    together = b"".join(entry.data for entry in entries)
    start = len(together) - together.endswith(b"\n")
    for _ in range(count):
        start = together.rfind(b"\n", 0, start)
        if start < 0:
            return list(entries)
    skip = start + 1 if count else len(together)
    kept = []
    for entry in entries:
        if skip < len(entry.data):
            kept.append(LogEntry(entry.stream, entry.data[skip:], entry.at))
        skip = max(0, skip - len(entry.data))
    return kept


class Follower:
    """
    Waits for a job and prints its output as it is stored, attempt after attempt, from attempt ``first`` on.

    Says on standard error why it waits, where it does for more than a few seconds.
    """

    def __init__(self, command: BaseCommand, job: ContainerJob, printer: OutputPrinter | None, *, first: int = 1):
        self._command, self._job, self._printer, self._number = command, job, printer, first
        self._using = job.write_alias
        self._position = OutputPosition()
        self._notice_at, self._notice = time.monotonic() + FIRST_NOTICE_SECONDS, ""

    def follow(self, *, timeout: float | None = None, tail: int | None = None, only: bool = False) -> bool:
        """
        All that was stored is printed. True: the job has ended; false: it had not after ``timeout`` seconds.

        ``only``: ends with the first attempt. ``job`` is as its row was at the last look.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._job.refresh_from_db(using=self._using)
            is_over = self._job.is_finished
            attempts = self._attempts(only=only)
            if only and attempts and attempts[0].finished_at is not None:
                is_over = True
            for attempt in attempts:
                self._print(attempt, tail)
                tail = None
            if is_over:
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self._say_why()
            time.sleep(LOOK_SECONDS)

    def _attempts(self, *, only: bool) -> list[JobAttempt]:
        rows = JobAttempt.objects.using(self._using).filter(job_id=self._job.pk, number__gte=self._number)
        return list(rows.select_related("host").order_by("number")[: 1 if only else None])

    def _print(self, attempt: JobAttempt, tail: int | None) -> None:
        if self._printer is None:
            return
        if attempt.number > self._number:
            if self._position != OutputPosition():
                note(self._command, f"[attempt {attempt.number}, on {attempt.host.name}]")
            self._number, self._position = attempt.number, OutputPosition()
        self._position = self._printer.print_stored(attempt, self._position, tail=tail)

    def _say_why(self) -> None:
        if time.monotonic() < self._notice_at:
            return
        self._notice_at = time.monotonic() + NOTICE_SECONDS
        reason = why_it_waits(self._job, self._using)
        if reason and reason != self._notice:
            note(self._command, reason)
        self._notice = reason
