"""``containers check``: what is wrong with the set-up, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core import checks
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from container_manager import hosts
from container_manager.exceptions import ConfigurationError, ExecutorError
from container_manager.management.database import database_problem
from container_manager.management.verbs.base import Verb
from container_manager.models import ExecutorHost, Installation
from container_manager.queue import queue_manager
from container_manager.services import executor_for


class CheckVerb(Verb):
    name = "check"
    help = "Check settings, database, migrations and every host: what is wrong, and how to mend it."

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        problems = 0
        for what, problem in self._findings():
            problems += bool(problem)
            line = f"{'FAIL' if problem else 'ok':<5}{what}"
            command.stdout.write(f"{line}: {problem}" if problem else line)
        return 1 if problems else 0

    def _findings(self) -> Iterator[tuple[str, str]]:
        using = queue_manager.using
        messages = checks.run_checks(databases=[using])
        ours = [message for message in messages if str(message.id).startswith("container_manager.")]
        yield "settings", " ".join(f"{message.msg} {message.hint or ''}".strip() for message in ours)
        problem = database_problem(using)
        yield f"database {using}", problem
        if problem:
            return
        yield from self._hosts(using)

    def _hosts(self, using: str) -> Iterator[tuple[str, str]]:
        node = hosts.node_name()
        hosts.reachable_hosts(using, node)
        rows = list(ExecutorHost.objects.using(using).all())
        if not rows:
            yield "hosts", f"There is none. {hosts.HOW_TO_ADD_A_HOST}"
        installation = Installation.current(using).identifier
        for host in rows:
            title = f"host {host} ({host.executor_type})"
            if host.node not in ("", node):
                yield f"{title}: only reachable on node {host.node}, not looked at", ""
                continue
            try:
                host.full_clean()
                health = executor_for(host, installation).check()
            except ValidationError as error:
                yield title, "; ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
            except (ConfigurationError, ExecutorError) as error:
                yield title, str(error)
            else:
                state = "" if host.is_active else ", drained"
                yield f"{title}: version {health.version or 'unknown'}, engine {health.engine_id}{state}", ""
