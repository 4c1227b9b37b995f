"""The one command and its verbs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError

from container_manager.exceptions import ContainerManagerError, JobNotFoundError
from container_manager.management import exits
from container_manager.management.database import database_problem
from container_manager.management.verbs import VERBS
from container_manager.queue import queue_manager


class Command(BaseCommand):
    """Dispatches to a verb; each verb is a module that declares its arguments and runs."""

    help = "Run jobs in containers: start a worker, run and watch jobs, look at the queue, check the set-up."
    # Not the whole project's: a view that cannot be imported must not keep a job from being cancelled.
    requires_system_checks = ("container_manager",)

    def add_arguments(self, parser: CommandParser) -> None:
        if parser.prog.startswith("__main__.py "):
            parser.prog = "python -m container_manager"
        parser.epilog = exits.SUMMARY
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in VERBS:
            verb.add_arguments(verbs.add_parser(verb.name, help=verb.help, description=verb.help))

    def execute(self, *args: Any, **options: Any) -> str | None:
        if os.environ.get("NO_COLOR") and not options.get("force_color"):
            options["no_color"] = True
        if options["verb"] == "check":
            options["skip_checks"] = True
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        verb = next(verb for verb in VERBS if verb.name == options["verb"])
        try:
            code = verb.run(self, options)
            self.stdout.flush()
        except (ContainerManagerError, ValidationError, DatabaseError, InterfaceError) as error:
            if options["traceback"]:
                raise
            for line in _lines(error):
                self.stderr.write(line)
            code = _exit_code(error)
        except BrokenPipeError:
            # What is still buffered must not fail again when the interpreter closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = exits.BROKEN_PIPE
        except KeyboardInterrupt:
            code = exits.INTERRUPTED
        if code:
            raise SystemExit(code)


def _lines(error: Exception) -> Iterator[str]:
    if isinstance(error, ValidationError):
        if hasattr(error, "error_dict"):
            yield from (f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
        else:
            yield " ".join(error.messages)
    elif isinstance(error, DatabaseError | InterfaceError):
        yield database_problem(queue_manager.using) or f"The database refused: {error}"
    else:
        yield str(error)


def _exit_code(error: Exception) -> int:
    if isinstance(error, DatabaseError | InterfaceError):
        return exits.ERROR
    return exits.NOT_FOUND if isinstance(error, JobNotFoundError) else exits.REFUSED
