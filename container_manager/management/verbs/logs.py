"""``containers logs``: a job's output, also while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.exceptions import JobNotFoundError
from container_manager.management import exits
from container_manager.management.arguments import ID_HELP, whole
from container_manager.management.finding import find_job
from container_manager.management.job_output import Follower, OutputPrinter
from container_manager.management.rendering import note
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob, JobAttempt
from container_manager.queue import queue_manager
from container_manager.specs import Stream


class LogsVerb(Verb):
    name = "logs"
    help = "Print a job's output: its standard output to standard output, its standard error to standard error."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="ID", help=ID_HELP)
        parser.add_argument("--follow", "-f", action="store_true", help="Go on until the job has ended.")
        parser.add_argument("--tail", "-n", type=whole, metavar="N", help="Begin with the last N lines.")
        parser.add_argument("--stream", choices=list(Stream), help="Only this one.")
        parser.add_argument("--attempt", type=whole, metavar="N", help="Default: the last.")
        parser.add_argument("--timestamps", "-t", action="store_true", help="Begin each line with its time, in UTC.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        job = find_job(options["job"])
        attempt = self._attempt(job, options["attempt"])
        printer = OutputPrinter(command, stream=options["stream"], has_timestamps=options["timestamps"])
        if options["follow"]:
            first = attempt.number if attempt else 1
            only = options["attempt"] is not None
            Follower(command, job, printer, first=first).follow(tail=options["tail"], only=only)
        elif attempt is None:
            note(command, f"Job {job.pk} has not been launched: there is no output.")
        else:
            printer.print_stored(attempt, tail=options["tail"])
            if attempt.log_bytes and not attempt.log_sequence:
                note(command, f"Its {attempt.log_bytes} bytes of output have been deleted, by RETENTION or 'prune'.")
        return exits.OK

    def _attempt(self, job: ContainerJob, number: int | None) -> JobAttempt | None:
        attempts = JobAttempt.objects.using(queue_manager.using).filter(job_id=job.pk).order_by("-number")
        if number is None:
            return attempts.first()
        attempt = attempts.filter(number=number).first()
        if attempt is None:
            known = ", ".join(str(known) for known in attempts.values_list("number", flat=True)) or "none"
            raise JobNotFoundError(f"Job {job.pk} has no attempt {number}; it has {known}.")
        return attempt
