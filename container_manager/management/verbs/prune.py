"""``containers prune``: what ``RETENTION`` says is old enough, and executions that nobody owns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager import hosts
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.management import exits
from container_manager.management.verbs.base import Verb
from container_manager.models import Installation
from container_manager.queue import queue_manager
from container_manager.services import executor_for
from container_manager.worker.retention import BATCH, Retention
from container_manager.worker.sweep import orphans, remove_orphan


class PruneVerb(Verb):
    name = "prune"
    help = (
        "Delete finished jobs and output by the setting RETENTION; with --orphans, executions without an open attempt."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would go.")
        parser.add_argument("--orphans", action="store_true", help="Executions on this node's hosts that nobody owns.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        if options["orphans"]:
            return self._orphans(command, is_dry=options["dry_run"])
        retention = Retention(queue_manager.using)
        if options["dry_run"]:
            for what, count in retention.count_old().items():
                command.stdout.write(f"{what:<12}{count:>8} to delete")
            return exits.OK
        total: Counter[str] = Counter()
        while True:
            pruned = retention.prune_some()
            total.update(pruned)
            if not any(count >= BATCH for count in pruned.values()):
                break
            command.stderr.write(", ".join(f"{count} {what}" for what, count in total.items()))
        for what, count in total.items():
            command.stdout.write(f"{what:<12}{count:>8} deleted")
        return exits.OK

    def _orphans(self, command: BaseCommand, *, is_dry: bool) -> int:
        using = queue_manager.using
        installation = Installation.current(using)
        if not installation.is_in_place(using):
            command.stderr.write("This database is a copy: say which one it is first, 'containers installation'.")
            return exits.REFUSED
        code = exits.OK
        for host in hosts.reachable_hosts(using, hosts.node_name()):
            try:
                executor = executor_for(host, installation.identifier)
                for orphan in orphans(executor.observe(), using):
                    command.stdout.write(f"{host.name}  {orphan.handle.name}  {orphan.state.value}")
                    if not is_dry:
                        remove_orphan(executor, orphan)
            except (ConfigurationError, ExecutorError) as error:
                command.stderr.write(f"{host.name}: {error}")
                code = exits.PARTIAL
        return code
