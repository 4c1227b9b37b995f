"""The one command and its verbs."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser

from container_manager.exceptions import ContainerManagerError, JobNotFoundError
from container_manager.management import exits
from container_manager.management.verbs import VERBS


class Command(BaseCommand):
    """Dispatches to a verb; each verb is a module that declares its arguments and runs."""

    help = "Run jobs in containers: start a worker, run and watch jobs, look at the queue, check the set-up."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in VERBS:
            verb.add_arguments(verbs.add_parser(verb.name, help=verb.help, description=verb.help))

    def handle(self, *args: Any, **options: Any) -> None:
        verb = next(verb for verb in VERBS if verb.name == options["verb"])
        try:
            code = verb.run(self, options)
        except ValidationError as error:
            for field, messages in error.message_dict.items():
                self.stderr.write(f"{field}: {' '.join(messages)}")
            code = exits.REFUSED
        except ContainerManagerError as error:
            self.stderr.write(str(error))
            code = exits.NOT_FOUND if isinstance(error, JobNotFoundError) else exits.REFUSED
        except KeyboardInterrupt:
            code = exits.INTERRUPTED
        if code:
            raise SystemExit(code)
