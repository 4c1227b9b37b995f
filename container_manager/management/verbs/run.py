"""``containers run``: a job from the command line, waited for if you like."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from container_manager import credentials, registry
from container_manager.describing import short_id
from container_manager.management import exits
from container_manager.management.arguments import pair, variable, variables_file
from container_manager.management.definition_run import (
    add_shared,
    queue_definition,
    start_of,
    with_those_after_the_name,
)
from container_manager.management.job_output import Follower, OutputPrinter
from container_manager.management.rendering import job_values, note, print_json
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob
from container_manager.queue import queue_manager
from container_manager.states import Status

_GIVEN: Final = (
    "image", "name", "queue", "priority", "memory_limit", "cpu_limit", "timeout_seconds", "max_retries",
    "retry_policy", "shell", "working_directory", "user", "network",
)  # fmt: skip


class RunVerb(Verb):
    name = "run"
    help = "Queue a job and print its id; with --wait, print its output and exit as it does."

    def add_arguments(self, parser: CommandParser) -> None:
        program = parser.add_argument(
            "arguments", nargs=argparse.PARSER, metavar="COMMAND",
            help="The program and its arguments; all that follows is the job's. Put -- before it to be clear. "
            "Or the name of a job definition; a program of the same name is meant by its path.",
        )  # fmt: skip
        # An image can have a command of its own.
        program.required, program.default = False, []
        add_shared(parser)
        parser.add_argument("--image", help="Default: the setting DEFAULT_IMAGE.")
        parser.add_argument(
            "--env", action="append", default=[], type=variable, metavar="K[=V]",
            help="A variable; without a value, the one that is set here. Repeatable.",
        )  # fmt: skip
        parser.add_argument(
            "--env-file", action="append", default=[], type=variables_file, metavar="PATH",
            help="K=V a line; --env goes over it. Repeatable.",
        )  # fmt: skip
        parser.add_argument("--label", action="append", default=[], type=pair, metavar="K=V", help="Repeatable.")
        parser.add_argument("--queue", metavar="NAME", help="Default: default. host:NAME pins to a host.")
        parser.add_argument("--memory-limit", type=int, metavar="MIB")
        parser.add_argument("--cpu-limit", type=float, metavar="CORES")
        parser.add_argument(
            "--timeout", dest="timeout_seconds", type=int, metavar="SECONDS", help="Stopped when it runs longer."
        )
        parser.add_argument("--workdir", dest="working_directory", metavar="PATH")
        parser.add_argument("--user", metavar="NAME", help="Whom it runs as in its container.")
        parser.add_argument("--network", metavar="NAME", help="none, bridge, or one that the host allows.")
        parser.add_argument("--max-retries", type=int, metavar="N", help="Launches in all; default 3.")
        parser.add_argument("--retry-policy", metavar="NAME", help="default, never, on_failure, or one of your own.")
        parser.add_argument("--shell", action="store_true", help="Give the command, one string, to /bin/sh -c.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        words = _words(options)
        if words and (options["param"] or options["file"] or registry.is_known(words[0])):
            options = with_those_after_the_name(options, words)
            job = queue_definition(words[0], options)
        else:
            fields = _fields(options)
            for name in credentials.untold("", fields["environment"]):
                note(command, f"{name} looks like a credential. {credentials.ADVICE}")
            job = queue_manager.create_and_queue(**fields)
        if options["wait"] or options["wait_timeout"] is not None:
            return self._wait(command, job, options)
        if options["json"]:
            print_json(command, "job", job_values(job))
        else:
            command.stdout.write(str(job.pk))
        return exits.OK

    def _wait(self, command: BaseCommand, job: ContainerJob, options: Mapping[str, Any]) -> int:
        note(command, f"job {job.pk}")
        follower = Follower(command, job, None if options["json"] else OutputPrinter(command))
        try:
            has_ended = follower.follow(timeout=options["wait_timeout"])
        except KeyboardInterrupt:
            note(command, f"\nThe job goes on; to end it: containers cancel {short_id(job.pk)}")
            raise
        if options["json"]:
            print_json(command, "job", job_values(job))
        if not has_ended:
            command.stderr.write(f"It is {job.status} after {options['wait_timeout']:g} s, and goes on.")
            return exits.WAIT_TIMEOUT
        if job.status != Status.COMPLETED:
            command.stderr.write(f"{job.status}: {job.error or job.outcome}")
        return _exit_code(job)


def _words(options: Mapping[str, Any]) -> list[str]:
    words: list[str] = options["arguments"]
    return words[1:] if words[:1] == ["--"] else words


def _fields(options: Mapping[str, Any]) -> dict[str, Any]:
    arguments = _words(options)
    environment: dict[str, str] = {}
    for variables in options["env_file"]:
        environment |= variables
    return {
        "command": " ".join(arguments) if options["shell"] else arguments,
        "environment": environment | dict(options["env"]),
        "labels": dict(options["label"]),
        "scheduled_for": start_of(options),
        **{name: options[name] for name in _GIVEN if options[name] is not None},
    }


def _exit_code(job: ContainerJob) -> int:
    """The job's own, unless that would say that it went well when it did not."""
    if job.status == Status.COMPLETED:
        return exits.OK
    if job.status == Status.CANCELLED or not job.exit_code:
        return exits.NOT_RUN
    return job.exit_code if 0 < job.exit_code < 256 else exits.ERROR
