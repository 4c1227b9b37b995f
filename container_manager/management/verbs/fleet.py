"""``containers workers`` and ``containers hosts``: who works, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Count

from container_manager.describing import short_id
from container_manager.management import exits
from container_manager.management.arguments import add_json
from container_manager.management.rendering import note, print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import ExecutorHost, JobAttempt, Worker
from container_manager.queue import queue_manager
from container_manager.wording import ago


class WorkersVerb(Verb):
    name = "workers"
    help = "List workers, their heartbeats, and how many jobs each has in its hands."

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        using = queue_manager.using
        rows = list(Worker.objects.using(using).all())
        alive = set(Worker.objects.using(using).alive().values_list("pk", flat=True))
        in_hand = _open_attempts("worker", using)
        names = dict(ExecutorHost.objects.using(using).values_list("pk", "name"))
        served = {row.pk: [names[pk] for pk in row.hosts if pk in names] for row in rows}
        if options["json"]:
            columns = ("id", "kind", "node", "process_id", "concurrency", "started_at", "heartbeat_at")
            values = [
                {
                    **{name: getattr(row, name) for name in columns},
                    "hosts": served[row.pk], "active_jobs": in_hand.get(row.pk, 0), "is_alive": row.pk in alive,
                }
                for row in rows
            ]  # fmt: skip
            print_json(command, "workers", values)
            return exits.OK
        if not rows:
            note(command, "No worker runs: start one, 'containers worker'.")
            return exits.OK
        cells = [
            (
                short_id(row.pk), row.kind, row.node, row.process_id, "alive" if row.pk in alive else "dead",
                f"{in_hand.get(row.pk, 0)}/{row.concurrency or '-'}", ago(row.heartbeat_at), ago(row.started_at),
                ", ".join(served[row.pk]),
            )
            for row in rows
        ]  # fmt: skip
        titles = ("id", "kind", "node", "process", "state", "busy", "heartbeat", "started", "hosts")
        print_table(command, titles, cells)
        return exits.OK


class HostsVerb(Verb):
    name = "hosts"
    help = "List hosts; drain one, or let it work again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action", nargs="?", choices=("drain", "resume"), help="drain: no new jobs; what runs goes on."
        )
        parser.add_argument("host", nargs="?", metavar="NAME")
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        hosts = ExecutorHost.objects.using(queue_manager.using)
        if options["action"]:
            if not options["host"]:
                command.stderr.write(f"Which host? containers hosts {options['action']} NAME")
                return exits.USAGE
            host = hosts.filter(name=options["host"]).first()
            if host is None:
                known = ", ".join(hosts.values_list("name", flat=True)) or "none"
                command.stderr.write(f"There is no host {options['host']!r}. Known: {known}.")
                return exits.NOT_FOUND
            host.is_active = options["action"] == "resume"
            host.save(update_fields=["is_active"])
        self._print(command, list(hosts.all()), is_json=options["json"])
        return exits.OK

    def _print(self, command: BaseCommand, hosts: list[ExecutorHost], *, is_json: bool) -> None:
        in_hand = _open_attempts("host", queue_manager.using)
        if is_json:
            names = (
                "name", "executor_type", "node", "queues", "weight", "is_active", "max_concurrent_jobs",
                "cpu_capacity", "memory_capacity", "engine_id", "engine_version", "checked_at", "health_error",
            )  # fmt: skip
            print_json(
                command,
                "hosts",
                [
                    {**{name: getattr(host, name) for name in names}, "active_jobs": in_hand.get(host.pk, 0)}
                    for host in hosts
                ],
            )
            return
        if not hosts:
            note(command, "There is no host yet. 'containers check' says how to add one.")
            return
        cells = [
            (
                host.name, host.executor_type, ", ".join(host.queues),
                f"{in_hand.get(host.pk, 0)}/{host.max_concurrent_jobs}", "active" if host.is_active else "drained",
                host.engine_version, _health(host),
            )
            for host in hosts
        ]  # fmt: skip
        print_table(command, ("host", "executor", "queues", "busy", "state", "version", "health"), cells)


def _health(host: ExecutorHost) -> str:
    if host.health_error:
        return host.health_error
    return "healthy" if host.engine_id else "not reached yet"


def _open_attempts(by: str, using: str) -> dict[Any, int]:
    """How many attempts are open, by host or by worker."""
    rows = JobAttempt.objects.using(using).filter(active_job__isnull=False).order_by()
    return dict(rows.values_list(by).annotate(count=Count("pk")))
