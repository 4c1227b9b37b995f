"""``containers check``: what is wrong with the set-up, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from django.core import checks
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser

from container_manager import hosts
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.executors.limits import described
from container_manager.management import exits
from container_manager.management.arguments import add_json
from container_manager.management.database import database_problem
from container_manager.management.rendering import print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import ExecutorHost, Installation, Worker
from container_manager.queue import queue_manager
from container_manager.services import executor_for


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was looked at."""

    what: str
    level: Level
    finding: str


class CheckVerb(Verb):
    name = "check"
    help = "Check settings, database, migrations, every host and its engine: what is wrong, and how to mend it."

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        results = list(_results(queue_manager.using))
        if options["json"]:
            print_json(command, "checks", [{**asdict(result), "level": result.level.lower()} for result in results])
        else:
            rows = [(result.level.value, result.what, result.finding) for result in results]
            print_table(command, ("", "checked", "finding"), rows)
        return exits.ERROR if any(result.level is Level.FAIL for result in results) else exits.OK


def _results(using: str) -> Iterator[Result]:
    yield from _settings(using)
    problem = database_problem(using)
    if problem:
        yield Result(f"database {using}", Level.FAIL, problem)
        return
    yield Result(f"database {using}", Level.OK, "answers, and all migrations are applied")
    installation = Installation.current(using)
    if installation.is_in_place(using):
        yield Result("installation", Level.OK, installation.identifier)
    else:
        copied = "This database is a copy of another: say which it is, 'containers installation --original' or '--copy'"
        yield Result("installation", Level.FAIL, f"{copied}. Until then nothing is rescued or swept.")
    yield from _hosts(using, installation.identifier)
    alive = Worker.objects.using(using).alive().filter(kind=Worker.Kind.WORKER).count()
    if alive:
        yield Result("workers", Level.OK, f"{alive} alive")
    else:
        yield Result("workers", Level.WARN, "None runs, so jobs wait: start one, 'containers worker'.")


def _settings(using: str) -> Iterator[Result]:
    ours = [
        message
        for message in checks.run_checks(tags=["container_manager", checks.Tags.database], databases=[using])
        if str(message.id).startswith("container_manager.")
    ]  # fmt: skip
    for message in ours:
        level = Level.FAIL if message.is_serious() else Level.WARN
        yield Result("settings", level, f"{message.msg} {message.hint or ''}".strip())
    if not ours:
        yield Result("settings", Level.OK, "in order")


def _hosts(using: str, installation: str) -> Iterator[Result]:
    node = hosts.node_name()
    hosts.reachable_hosts(using, node)  # makes the embedded one, where that is the one that would work
    rows = list(ExecutorHost.objects.using(using).all())
    if not rows:
        yield Result("hosts", Level.FAIL, f"There is none. {hosts.HOW_TO_ADD_A_HOST}")
    for host in rows:
        what = f"host {host} ({host.executor_type})"
        if host.node not in ("", node):
            yield Result(what, Level.OK, f"only reachable on node {host.node}: not looked at from {node}")
        else:
            yield _host(what, host, installation)


def _host(what: str, host: ExecutorHost, installation: str) -> Result:
    try:
        host.full_clean()
        health = executor_for(host, installation).check()
    except ValidationError as error:
        return Result(what, Level.FAIL, "; ".join(f"{field}: {' '.join(m)}" for field, m in error.message_dict.items()))
    except (ConfigurationError, ExecutorError) as error:
        return Result(what, Level.FAIL, str(error))
    if host.engine_id and health.engine_id != host.engine_id:
        return Result(
            what, Level.FAIL,
            f"Another engine answers: {health.engine_id}, not {host.engine_id}. Its jobs are left alone. "
            "If the change is meant, clear the host's engine_id.",
        )  # fmt: skip
    engine = f"version {health.version or 'unknown'}, engine {health.engine_id}"
    if limits := described(host.options):
        engine += f"; a job has {limits}"
    if not host.is_active:
        return Result(what, Level.WARN, f"{engine}; drained: it takes no new jobs until 'containers hosts resume'")
    return Result(what, Level.OK, engine)
