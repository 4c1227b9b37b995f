"""``containers stats``: the queue in four numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management.verbs.base import Verb
from container_manager.queue import queue_manager


class StatsVerb(Verb):
    name = "stats"
    help = "Show how many jobs are queued, scheduled, running, and failed to launch."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON object.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        stats = queue_manager.get_queue_stats()
        if options["json"]:
            command.stdout.write(json.dumps(stats))
        else:
            for name, count in stats.items():
                command.stdout.write(f"{name:<14}{count!s:>8}")
        return 0
