"""``containers show``: everything about one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management import exits
from container_manager.management.finding import SHORT, find_job, short_id
from container_manager.management.rendering import (
    attempt_values,
    command_text,
    job_values,
    label_pairs,
    local,
    print_json,
    print_table,
    run_time,
)
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob
from container_manager.queue import queue_manager
from container_manager.waiting import why_it_waits

FULL_ID: Final = 36


class ShowVerb(Verb):
    name = "show"
    help = "Show a job: what it runs, where it is, why it waits, its attempts and its history."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="ID", help="The first or last characters of its id.")
        parser.add_argument("--json", action="store_true", help="One JSON object.")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        job = find_job(options["job"])
        waits = why_it_waits(job, queue_manager.using)
        attempts = list(job.attempts.select_related("host").order_by("number"))
        events = list(job.events.order_by("id"))
        if options["json"]:
            history = [
                {
                    "at": event.at,
                    "verb": event.verb,
                    "attempt": event.attempt,
                    "actor": event.actor,
                    "message": event.message,
                }
                for event in events
            ]
            tried = [attempt_values(attempt) for attempt in attempts]
            print_json(command.stdout, "job", {**job_values(job), "waits": waits, "attempts": tried, "events": history})
            return exits.OK
        for name, value in self._facts(job, waits):
            command.stdout.write(f"{name:<12}{value}")
        if attempts:
            command.stdout.write("")
            columns = ("attempt", "host", "started", "ran", "exit", "outcome", "container", "error")
            rows = [
                (
                    a.number,
                    a.host.name,
                    local(a.started_at),
                    run_time(a),
                    a.exit_code,
                    a.outcome,
                    _container(a.execution_id),
                    a.error,
                )
                for a in attempts
            ]
            print_table(command.stdout, columns, rows)
        if events:
            command.stdout.write("")
            timeline = [
                (local(event.at), event.verb, event.attempt or "", _who(event.actor), event.message) for event in events
            ]
            print_table(command.stdout, ("at", "event", "attempt", "by", "message"), timeline)
        return exits.OK

    def _facts(self, job: ContainerJob, waits: str) -> list[tuple[str, Any]]:
        environment = " ".join(f"{name}={value}" for name, value in job.environment.items())
        limits = {
            "memory": job.memory_limit and f"{job.memory_limit} MiB",
            "cpu": job.cpu_limit and f"{job.cpu_limit:g} cores",
            "time": job.timeout_seconds and f"{job.timeout_seconds} s",
        }
        facts = [
            ("job", f"{short_id(job.pk)}  ({job.pk})"),
            ("name", job.name),
            ("status", job.status),
            ("waits", waits),
            ("exit code", job.exit_code),
            ("outcome", job.outcome),
            ("error", job.error),
            ("command", command_text(job, 200)),
            ("image", job.image),
            ("environment", environment),
            ("limits", ", ".join(f"{name} {value}" for name, value in limits.items() if value)),
            ("labels", label_pairs(job.labels)),
            ("queue", f"{job.queue}, priority {job.priority}"),
            (
                "launches",
                f"{job.retry_count} of {job.max_retries} failed" + (": it never becomes ready" * (not job.max_retries)),
            ),
            ("created", local(job.created_at)),
            ("scheduled", local(job.scheduled_for)),
            ("finished", local(job.finished_at)),
        ]
        return [(name, value) for name, value in facts if value not in ("", None)]


def _who(actor: str) -> str:
    """A worker's id as ``workers`` shows it."""
    return actor.replace("-", "")[-SHORT:] if len(actor) == FULL_ID else actor


def _container(execution_id: str) -> str:
    """An engine's own id, as the engine shows it; a name of ours says nothing more than the row."""
    return "" if execution_id.startswith("cm-") else execution_id[:SHORT]
