"""``containers workers`` and ``containers hosts``: who works, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management import exits
from container_manager.management.finding import short_id
from container_manager.management.rendering import ago, print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import ExecutorHost, JobAttempt, Worker
from container_manager.queue import queue_manager


class WorkersVerb(Verb):
    name = "workers"
    help = "List workers and their heartbeats."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="One JSON object.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        rows = list(Worker.objects.using(queue_manager.using).all())
        alive = set(Worker.objects.using(queue_manager.using).alive().values_list("pk", flat=True))
        if options["json"]:
            names = ("id", "kind", "node", "process_id", "concurrency", "started_at", "heartbeat_at")
            values = [{**{name: getattr(row, name) for name in names}, "is_alive": row.pk in alive} for row in rows]
            print_json(command.stdout, "workers", values)
            return exits.OK
        if not rows:
            command.stderr.write("No worker runs: start one, 'containers worker'.")
            return exits.OK
        cells = [
            (
                short_id(row.pk), row.kind, row.node, row.process_id, "alive" if row.pk in alive else "dead",
                ago(row.heartbeat_at), ago(row.started_at),
            )
            for row in rows
        ]  # fmt: skip
        print_table(command.stdout, ("id", "kind", "node", "process", "state", "heartbeat", "started"), cells)
        return exits.OK


class HostsVerb(Verb):
    name = "hosts"
    help = "List hosts; drain one, or let it work again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action", nargs="?", choices=("drain", "resume"), help="drain: no new jobs; what runs goes on."
        )
        parser.add_argument("host", nargs="?", metavar="NAME")
        parser.add_argument("--json", action="store_true", help="One JSON object.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        hosts = ExecutorHost.objects.using(queue_manager.using)
        if options["action"]:
            host = hosts.filter(name=options["host"]).first()
            if host is None:
                command.stderr.write(
                    f"There is no host {options['host']!r}: {', '.join(row.name for row in hosts.all())}"
                )
                return exits.NOT_FOUND
            host.is_active = options["action"] == "resume"
            host.save(update_fields=["is_active"])
        open_attempts = JobAttempt.objects.using(queue_manager.using).filter(active_job__isnull=False)
        rows = [(host, open_attempts.filter(host=host).count()) for host in hosts.all()]
        if options["json"]:
            names = ("name", "executor_type", "queues", "is_active", "max_concurrent_jobs", "engine_id", "health_error")
            values = [{**{name: getattr(host, name) for name in names}, "active_jobs": used} for host, used in rows]
            print_json(command.stdout, "hosts", values)
            return exits.OK
        cells = [
            (
                host.name, host.executor_type, ", ".join(host.queues), f"{used}/{host.max_concurrent_jobs}",
                "active" if host.is_active else "drained", host.engine_version, host.health_error or "healthy",
            )
            for host, used in rows
        ]  # fmt: skip
        print_table(command.stdout, ("host", "executor", "queues", "slots", "state", "version", "health"), cells)
        return exits.OK
