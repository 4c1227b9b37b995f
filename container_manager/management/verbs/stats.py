"""``containers stats``: the queue in four numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management import exits
from container_manager.management.arguments import add_json
from container_manager.management.rendering import print_json
from container_manager.management.verbs.base import Verb
from container_manager.queue import queue_manager


class StatsVerb(Verb):
    name = "stats"
    help = "Show how many jobs are queued, scheduled, running, and failed to launch."

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        stats = queue_manager.get_queue_stats()
        if options["json"]:
            print_json(command, "stats", stats)
        else:
            for name, count in stats.items():
                command.stdout.write(f"{name:<14}{count!s:>8}")
        return exits.OK
