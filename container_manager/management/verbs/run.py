"""``containers run``: a job from the command line, waited for if you like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from container_manager.exceptions import JobFailedError, JobWaitTimeoutError
from container_manager.management import exits
from container_manager.management.arguments import delay, moment, pair
from container_manager.management.rendering import job_values, print_json
from container_manager.management.verbs.base import Verb
from container_manager.management.verbs.logs import follow
from container_manager.models import ContainerJob
from container_manager.queue import queue_manager


class RunVerb(Verb):
    name = "run"
    help = "Queue a job: containers run [options] -- command arguments. With --wait, exits as the job does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("arguments", nargs="*", metavar="COMMAND", help="After --: the program and its arguments.")
        parser.add_argument("--image", default="", help="Default: the setting DEFAULT_IMAGE.")
        parser.add_argument("--name", default="")
        parser.add_argument("--env", action="append", default=[], type=pair, metavar="K=V", help="Repeatable.")
        parser.add_argument("--label", action="append", default=[], type=pair, metavar="K=V", help="Repeatable.")
        parser.add_argument("--queue", default="default", metavar="NAME")
        parser.add_argument("--priority", type=int, default=50, metavar="0-100")
        when = parser.add_mutually_exclusive_group()
        when.add_argument("--at", type=moment, metavar="TIME", help="Not before: 2030-01-31T18:00.")
        when.add_argument("--in", dest="delay", type=delay, metavar="DELAY", help="Not before: 30s, 5m, 2h, 1d.")
        parser.add_argument("--memory-limit", type=int, metavar="MIB")
        parser.add_argument("--cpu-limit", type=float, metavar="CORES")
        parser.add_argument("--run-timeout", type=int, metavar="SECONDS", help="Stopped when it runs longer.")
        parser.add_argument("--max-retries", type=int, default=3, metavar="N", help="Launches in all (default 3).")
        parser.add_argument("--retry-policy", default="", metavar="NAME")
        parser.add_argument("--shell", action="store_true", help="Give the command, one string, to /bin/sh -c.")
        parser.add_argument("--wait", action="store_true", help="Until it has ended; prints its output as it comes.")
        parser.add_argument("--timeout", type=float, metavar="SECONDS", help="With --wait: no longer than this.")
        parser.add_argument("--json", action="store_true", help="The job as one JSON object.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        start = options["at"] or (options["delay"] and timezone.now() + options["delay"])
        arguments = options["arguments"]
        job = queue_manager.create_and_queue(
            command=" ".join(arguments) if options["shell"] else list(arguments),
            shell=options["shell"],
            image=options["image"],
            name=options["name"],
            environment=dict(options["env"]),
            labels=dict(options["label"]),
            queue=options["queue"],
            priority=options["priority"],
            scheduled_for=start or None,
            memory_limit=options["memory_limit"],
            cpu_limit=options["cpu_limit"],
            timeout_seconds=options["run_timeout"],
            max_retries=options["max_retries"],
            retry_policy=options["retry_policy"],
        )
        if not options["wait"]:
            if options["json"]:
                print_json(command.stdout, "job", job_values(job))
            else:
                command.stdout.write(str(job.pk))
            return exits.OK
        return self._wait(command, job, options)

    def _wait(self, command: BaseCommand, job: ContainerJob, options: Mapping[str, Any]) -> int:
        command.stderr.write(f"job {job.pk}")
        if options["timeout"] is None and not options["json"]:
            follow(job)
        try:
            queue_manager.wait_for(job, timeout=options["timeout"])
        except JobWaitTimeoutError as error:
            command.stderr.write(str(error))
            return exits.WAIT_TIMEOUT
        except JobFailedError:
            command.stderr.write(f"{job.status}: {job.error or job.outcome}")
        if options["json"]:
            print_json(command.stdout, "job", job_values(job))
        elif options["timeout"] is not None:
            command.stdout.write(job.output(), ending="")
        return exits.NOT_RUN if job.exit_code is None else job.exit_code
