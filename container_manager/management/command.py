"""The one command and its verbs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management.verbs import VERBS


class Command(BaseCommand):
    """Dispatches to a verb; each verb is a module that declares its arguments and runs."""

    help = "Run jobs in containers: start a worker, look at the queue, check the set-up."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in VERBS:
            verb.add_arguments(verbs.add_parser(verb.name, help=verb.help, description=verb.help))

    def handle(self, *args: Any, **options: Any) -> None:
        verb = next(verb for verb in VERBS if verb.name == options["verb"])
        code = verb.run(self, options)
        if code:
            raise SystemExit(code)
