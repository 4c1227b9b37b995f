"""``containers list``: the newest jobs, or those that match."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management import exits
from container_manager.management.arguments import add_filters, filter_from
from container_manager.management.finding import short_id
from container_manager.management.rendering import ago, command_text, job_values, print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob
from container_manager.models.job_queryset import JobQuerySet
from container_manager.queue import queue_manager


class ListVerb(Verb):
    name = "list"
    help = "List jobs, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        add_filters(parser)
        parser.add_argument("--limit", type=int, default=20, metavar="N", help="At most N (default 20; 0 = all).")
        parser.add_argument("--json", action="store_true", help="One JSON object.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        jobs = filter_from(options).apply(JobQuerySet(ContainerJob, using=queue_manager.using)).order_by("-id")
        if options["limit"]:
            jobs = jobs[: options["limit"]]
        if options["json"]:
            print_json(command.stdout, "jobs", [job_values(job) for job in jobs])
            return exits.OK
        columns = ("id", "name", "status", "priority", "queue", "tries", "exit", "outcome", "created", "command")
        rows = [
            (
                short_id(job.pk), job.name, job.status, job.priority, job.queue, job.attempt, job.exit_code,
                job.outcome, ago(job.created_at), command_text(job),
            )
            for job in jobs
        ]  # fmt: skip
        if rows:
            print_table(command.stdout, columns, rows)
        else:
            command.stderr.write("No job matches.")
        return exits.OK
