"""``containers top``: the queue, live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import count
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management import exits
from container_manager.management.arguments import add_json, positive, seconds
from container_manager.management.overview import Overview
from container_manager.management.rendering import print_json
from container_manager.management.screen import drawing, key_presses
from container_manager.management.verbs.base import Verb
from container_manager.queue import queue_manager


class TopVerb(Verb):
    name = "top"
    help = "Watch the queue: what waits and runs, where, and what ended lately. q or Ctrl-C ends it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--interval", type=seconds, default=2.0, metavar="SECONDS", help="Between looks; default 2."
        )
        parser.add_argument(
            "--iterations", "-n", type=positive, metavar="N",
            help="So many looks; default: on a terminal until it is ended, else one.",
        )  # fmt: skip
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        if options["json"]:
            print_json(command, "top", asdict(Overview.read(queue_manager.using)))
            return exits.OK
        looks = options["iterations"] or (None if command.stdout.isatty() else 1)
        try:
            with key_presses() as wait, drawing(command) as show:
                for look in count(1):
                    overview = Overview.read(queue_manager.using)
                    show(overview.headline(), overview.tables())
                    if look == looks or wait(options["interval"]):
                        break
        except KeyboardInterrupt:
            # The usual way to end it.
            pass
        return exits.OK
