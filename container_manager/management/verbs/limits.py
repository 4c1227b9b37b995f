"""``containers limits``: how full the limits of tenants, definitions and batches are, and if the counts are right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager import conf, lanes
from container_manager.management import exits
from container_manager.management.arguments import add_json
from container_manager.management.rendering import note, print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import JobBatch
from container_manager.queue import queue_manager


class LimitsVerb(Verb):
    name = "limits"
    help = "Show how many jobs of each tenant, definition and batch are on their way, and may be; check the counts."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Compare the counts with the jobs; exit 1 if wrong.")
        parser.add_argument("--repair", action="store_true", help="Compare, and put right what is wrong.")
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        using = queue_manager.using
        wrong = lanes.repair(using) if options["repair"] else lanes.discrepancies(using) if options["check"] else []
        for line in wrong:
            command.stderr.write(f"{line}{'; put right' if options['repair'] else ''}.")
        rows = [(lane.name, lane.running, _limit(lane.name, using)) for lane in lanes.limiting(using)]
        if options["json"]:
            values = [{"name": name, "running": running, "limit": limit} for name, running, limit in rows]
            print_json(command, "limits", values)
        elif rows:
            cells = [(name, running, "none" if limit is None else limit) for name, running, limit in rows]
            print_table(command, ("limit of", "on their way", "at most"), cells)
        else:
            note(command, "No job that has a limit is on its way.")
        return exits.PARTIAL if wrong and not options["repair"] else exits.OK


def _limit(name: str, using: str) -> int | None:
    kind, _, of = name.partition(":")
    if kind == "batch":
        return JobBatch.objects.using(using).filter(pk=of).values_list("max_running", flat=True).first()
    return conf.limit_of(kind, of)
