"""``containers list``: the newest jobs, or those that match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from container_manager.describing import result_text, short_id, title
from container_manager.management import exits
from container_manager.management.arguments import add_filters, add_json, filter_from, whole
from container_manager.management.rendering import job_values, note, print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager
from container_manager.wording import ago, cut

COLUMNS: Final = ("id", "status", "result", "queue", "priority", "tries", "created", "job")
USUAL: Final[dict[str, set[object]]] = {"queue": {"default"}, "priority": {50}, "tries": {0, 1}}
"""On a terminal a column is left out where no row differs from these."""
PLAIN_WIDTH: Final = 120


class ListVerb(Verb):
    name = "list"
    help = "List jobs, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        add_filters(parser)
        amount = parser.add_mutually_exclusive_group()
        amount.add_argument("--limit", type=whole, default=20, metavar="N", help="At most N; default 20.")
        amount.add_argument("--all", dest="limit", action="store_const", const=None, help="However many there are.")
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        limit = options["limit"]
        matching = filter_from(options).apply(JobQuerySet(ContainerJob, using=queue_manager.using))
        jobs = list(matching.order_by("-id")[: None if limit is None else limit + 1])
        has_more = limit is not None and len(jobs) > limit
        jobs = jobs[:limit]
        if options["json"]:
            print_json(command, "jobs", [job_values(job) for job in jobs])
        elif jobs:
            self._print(command, jobs)
        else:
            note(command, "No job matches.")
        if has_more:
            note(command, f"The newest {limit}; there are more: --limit N, or --all.")
        return exits.OK

    def _print(self, command: BaseCommand, jobs: Sequence[ContainerJob]) -> None:
        rows = [
            dict(
                zip(
                    COLUMNS,
                    (
                        short_id(job.pk), job.status, result_text(job.exit_code, job.outcome), job.queue,
                        job.priority, job.attempt, ago(job.created_at), cut(title(job), PLAIN_WIDTH),
                    ),
                    strict=True,
                )
            )
            for job in jobs
        ]  # fmt: skip
        hidden = {name for name, usual in USUAL.items() if {row[name] for row in rows} <= usual}
        columns = [name for name in COLUMNS if not (command.stdout.isatty() and name in hidden)]
        print_table(command, columns, [[row[name] for name in columns] for row in rows])
