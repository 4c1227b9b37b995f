"""``containers show``: everything about one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from container_manager.describing import SHORT, command_text, pairs, run_time, short_id
from container_manager.executors.limits import described
from container_manager.management import exits
from container_manager.management.arguments import ID_HELP, add_json
from container_manager.management.finding import find_job
from container_manager.management.rendering import attempt_values, job_values, note, print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import ContainerJob, JobAttempt, JobEvent
from container_manager.queue import queue_manager
from container_manager.states import Status
from container_manager.waiting import why_it_waits
from container_manager.wording import duration, local, printable

FULL_ID: Final = 36
EVENTS: Final = 200
INDENT: Final = 13


class ShowVerb(Verb):
    name = "show"
    help = "Show a job: what it runs, where it is, why it waits, its attempts and its history."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("job", metavar="ID", help=ID_HELP)
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        using = queue_manager.using
        job = find_job(options["job"])
        waits = why_it_waits(job, using)
        tried = JobAttempt.objects.using(using).filter(job_id=job.pk).select_related("host").order_by("number")
        events = JobEvent.objects.using(using).filter(job_id=job.pk).order_by("id")
        if options["json"]:
            more = {
                "waits": waits,
                "attempts": [attempt_values(attempt) for attempt in tried],
                "events": list(events.values("at", "verb", "attempt", "actor", "message")),
            }
            print_json(command, "job", {**job_values(job), **more})
            return exits.OK
        for name, value in _facts(job, waits, tried.last()):
            continued = f"\n{'':{INDENT}}".join(str(value).splitlines())
            command.stdout.write(f"{name:<{INDENT}}{continued}")
        if tried:
            command.stdout.write("")
            _print_attempts(command, tried)
        _print_events(command, list(events.reverse()[: EVENTS + 1])[::-1])
        return exits.OK


def _facts(job: ContainerJob, waits: str, latest: JobAttempt | None) -> list[tuple[str, Any]]:
    limits = {
        "memory": job.memory_limit and f"{job.memory_limit} MiB",
        "cpu": job.cpu_limit and f"{job.cpu_limit:g} cores",
        "time": job.timeout_seconds and f"{job.timeout_seconds} s",
        "waiting": job.queue_timeout_seconds and f"{job.queue_timeout_seconds} s",
    }
    deadline = latest.deadline_at if latest is not None and job.status == Status.RUNNING else None
    is_stopping = job.cancel_requested_at is not None and not job.is_finished
    facts = [
        ("job", f"{short_id(job.pk)}  ({job.pk})"),
        ("name", printable(job.name)),
        ("status", f"{job.status}, asked to stop {local(job.cancel_requested_at)}" if is_stopping else job.status),
        ("waits", printable(waits)),
        ("exit code", job.exit_code),
        ("outcome", job.outcome if job.status != Status.COMPLETED else ""),
        ("error", printable(job.error)),
        ("command", printable(command_text(job)) + (" (by /bin/sh)" if job.shell else "")),
        ("entrypoint", job.entrypoint and printable(str(job.entrypoint))),
        ("image", printable(job.image)),
        ("environment", pairs(job.environment, "\n")),
        ("template", str(job.environment_template or "")),
        ("folder", printable(job.working_directory)),
        ("user", printable(job.user)),
        ("network", printable(job.network)),
        ("gpus", printable(job.gpus)),
        ("limits", ", ".join(f"{name} {value}" for name, value in limits.items() if value)),
        ("host limits", described(latest.host.options) if latest else ""),
        ("stopped at", local(deadline)),
        ("labels", pairs(job.labels)),
        ("queue", f"{job.queue}, priority {job.priority}"),
        ("launches", _launches(job)),
        ("reruns", _reruns(job)),
        ("created", local(job.created_at)),
        ("scheduled", local(job.scheduled_for)),
        ("expires", local(job.expires_at) if job.status == Status.QUEUED else ""),
        ("finished", local(job.finished_at)),
    ]
    return [(name, value) for name, value in facts if value not in ("", None, [])]


def _launches(job: ContainerJob) -> str:
    if not job.max_retries:
        return "max_retries is 0: it never becomes ready"
    return f"{job.retry_count} of {job.max_retries} failed"


def _reruns(job: ContainerJob) -> str:
    counts = {"failures": job.rerun_count, "engine trouble": job.infra_rerun_count, "rescues": job.rescue_count}
    policy = f" ({job.retry_policy})" if job.retry_policy else ""
    said = ", ".join(f"{count} after {what}" for what, count in counts.items() if count)
    return said + policy if said else policy.strip(" ()")


def _print_attempts(command: BaseCommand, attempts: Sequence[JobAttempt] | Any) -> None:
    columns = ("attempt", "host", "started", "ran", "memory", "cpu", "exit", "outcome", "container", "error")
    rows = [
        (
            attempt.number, attempt.host.name, local(attempt.started_at), run_time(attempt),
            _megabytes(attempt.memory_peak_bytes), _seconds(attempt.cpu_seconds), attempt.exit_code, attempt.outcome,
            _container(attempt.execution_id), attempt.error,
        )
        for attempt in attempts
    ]  # fmt: skip
    print_table(command, columns, rows)


def _print_events(command: BaseCommand, events: Sequence[JobEvent]) -> None:
    if not events:
        return
    command.stdout.write("")
    shown = events[-EVENTS:]
    rows = [
        (local(event.at), event.verb, event.attempt or "", _who(event.actor), event.message) for event in shown
    ]  # fmt: skip
    print_table(command, ("at", "event", "attempt", "by", "message"), rows)
    if len(events) > len(shown):
        note(command, f"The last {EVENTS} events; --json has all.")


def _who(actor: str) -> str:
    """A worker's id as ``workers`` shows it."""
    return actor.replace("-", "")[-SHORT:] if len(actor) == FULL_ID else actor


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / (1 << 20):.1f} MiB"


def _seconds(used: float | None) -> str:
    return "" if used is None else duration(used)


def _container(execution_id: str) -> str:
    """An engine's own id, as the engine shows it; a name of ours says nothing more than the row."""
    return "" if execution_id.startswith("cm-") else execution_id[:SHORT]
