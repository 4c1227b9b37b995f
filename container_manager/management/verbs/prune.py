"""``containers prune``: what ``RETENTION`` says is old enough, and executions that nobody owns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager import conf
from container_manager.management import exits
from container_manager.management.arguments import add_json
from container_manager.management.orphan_hunt import OrphanHunt
from container_manager.management.rendering import note, print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import Installation
from container_manager.queue import queue_manager
from container_manager.worker.retention import BATCH, Retention


class PruneVerb(Verb):
    name = "prune"
    help = (
        "Delete finished jobs and output by the setting RETENTION; with --orphans, executions without an open attempt."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would go.")
        parser.add_argument("--orphans", action="store_true", help="Executions on this node's hosts that nobody owns.")
        parser.add_argument(
            "--now", action="store_true",
            help="With --orphans: do not look again after ORPHAN_GRACE_SECONDS before anything is removed.",
        )  # fmt: skip
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        if options["orphans"]:
            return self._orphans(command, options)
        if not conf.get("RETENTION"):
            note(command, "The setting RETENTION is empty: everything is kept.")
        retention = Retention(queue_manager.using)
        total = Counter(retention.count_old()) if options["dry_run"] else self._prune(command, retention)
        if options["json"]:
            print_json(command, "old" if options["dry_run"] else "deleted", dict(total))
        else:
            word = "to delete" if options["dry_run"] else "deleted"
            for what, count in sorted(total.items()):
                command.stdout.write(f"{what:<12}{count:>8} {word}")
        return exits.OK

    def _prune(self, command: BaseCommand, retention: Retention) -> Counter[str]:
        total: Counter[str] = Counter()
        while True:
            pruned = retention.prune_some()
            total.update(pruned)
            if not any(count >= BATCH for count in pruned.values()):
                return total
            note(command, ", ".join(f"{count:,} {what}" for what, count in sorted(total.items()) if count))

    def _orphans(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        using = queue_manager.using
        installation = Installation.current(using)
        if not installation.is_in_place(using):
            command.stderr.write("This database is a copy: say which one it is first, 'containers installation'.")
            return exits.REFUSED
        hunt = OrphanHunt(command, installation.identifier, using)
        found = hunt.look()
        if not options["dry_run"] and found:
            grace = 0.0 if options["now"] else float(conf.get("ORPHAN_GRACE_SECONDS"))
            found = hunt.remove(found, grace)
        columns = ("host", "execution", "job", "attempt", "state")
        if options["json"]:
            print_json(command, "orphans", [dict(zip(columns, row, strict=True)) for row in hunt.rows(found)])
        elif found:
            print_table(command, columns, hunt.rows(found))
        else:
            note(command, "There is no orphan.")
        return exits.PARTIAL if hunt.has_failed else exits.OK
