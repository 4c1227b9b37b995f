"""``containers logs``: a job's output, also while it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from container_manager.exceptions import JobNotFoundError
from container_manager.management import exits
from container_manager.management.finding import find_job
from container_manager.management.rendering import local
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob, JobAttempt
from container_manager.models.output import OutputPosition, attempt_output, gap_line, read_output
from container_manager.specs import LogEntry, Stream

LOOK_SECONDS: Final = 0.2


class LogsVerb(Verb):
    name = "logs"
    help = "Print a job's output: its standard output to standard output, its standard error to standard error."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="ID", help="The first or last characters of its id.")
        parser.add_argument("--follow", "-f", action="store_true", help="Go on until the job has ended.")
        parser.add_argument("--tail", type=int, metavar="N", help="Only the last N lines (not with --follow).")
        parser.add_argument("--stream", choices=list(Stream), help="Only this one.")
        parser.add_argument("--attempt", type=int, metavar="N", help="Default: the last.")
        parser.add_argument("--timestamps", action="store_true", help="When each piece was written.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        job = find_job(options["job"])
        if options["follow"]:
            follow(job, stream=options["stream"], has_timestamps=options["timestamps"])
            return exits.OK
        attempts = job.attempts.order_by("-number")
        number = options["attempt"]
        attempt = attempts.first() if number is None else attempts.filter(number=number).first()
        if attempt is None:
            if number is None:
                command.stderr.write(f"Job {job.pk} has not been launched: there is no output.")
                return exits.OK
            raise JobNotFoundError(f"Job {job.pk} has no attempt {number}; it has {attempts.count()}.")
        if options["tail"] is not None:
            command.stdout.write(attempt_output(attempt, stream=options["stream"], tail=options["tail"]), ending="")
        else:
            write_from(attempt, OutputPosition(), stream=options["stream"], has_timestamps=options["timestamps"])
        return exits.OK


def follow(job: ContainerJob, *, stream: str | None = None, has_timestamps: bool = False) -> None:
    """The job's output is printed as it is stored, attempt after attempt, until the job has ended."""
    current: JobAttempt | None = None
    position = OutputPosition()
    while True:
        job.refresh_from_db(fields=["status"])
        is_over = job.is_finished
        latest = job.attempts.order_by("-number").first()
        if latest is not None:
            if current is not None and latest.pk != current.pk:
                write_from(current, position, stream=stream, has_timestamps=has_timestamps)
                position = OutputPosition()
            current = latest
            position = write_from(current, position, stream=stream, has_timestamps=has_timestamps)
        if is_over:
            return
        time.sleep(LOOK_SECONDS)


def write_from(
    attempt: JobAttempt, position: OutputPosition, *, stream: str | None, has_timestamps: bool
) -> OutputPosition:
    """What is stored after ``position`` is written, bytes as they came; returns how far that was."""
    for piece in read_output(attempt, position):
        if piece.is_after_gap:
            sys.stderr.write(gap_line(attempt))
        for entry in piece.entries:
            if stream is None or entry.stream == stream:
                _write(entry, has_timestamps=has_timestamps)
        position = piece.position
    sys.stdout.flush()
    sys.stderr.flush()
    return position


def _write(entry: LogEntry, *, has_timestamps: bool) -> None:
    target = sys.stdout if entry.stream is Stream.STDOUT else sys.stderr
    if has_timestamps and entry.at is not None:
        target.write(f"{local(entry.at)}  ")
    buffer = getattr(target, "buffer", None)
    if buffer is None:
        target.write(entry.data.decode("utf-8", errors="replace"))
        return
    target.flush()
    buffer.write(entry.data)
