"""``containers handlers``: what handlers are owed, what they were told, and what failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from container_manager.describing import short_id
from container_manager.handlers import delivery
from container_manager.management import exits
from container_manager.management.arguments import add_json
from container_manager.management.rendering import note, print_json, print_table
from container_manager.management.verbs.base import Verb
from container_manager.models import HandlerCall
from container_manager.queue import queue_manager
from container_manager.wording import ago


class HandlersVerb(Verb):
    name = "handlers"
    help = "List calls of handlers and webhooks that are owed, failed or done; have failed ones tried again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("calls", nargs="*", type=int, metavar="ID", help="Only these.")
        parser.add_argument("--failed", action="store_true", help="Only those that were given up.")
        parser.add_argument("--retry", action="store_true", help="Those that were given up are due again.")
        parser.add_argument("--limit", type=int, default=50, metavar="N", help="The newest N; default 50.")
        add_json(parser)

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        using = queue_manager.using
        if options["limit"] < 0:
            command.stderr.write("--limit is a number from 0 up.")
            return exits.USAGE
        if options["retry"]:
            count = delivery.retry(using, options["calls"] or None)
            note(command, f"{count} failed {'call is' if count == 1 else 'calls are'} due again.")
        calls = HandlerCall.objects.using(using).all()
        if options["calls"]:
            calls = calls.filter(pk__in=options["calls"])
        if options["failed"]:
            calls = calls.filter(state=HandlerCall.State.FAILED)
        self._print(command, list(calls[: options["limit"]]), is_json=options["json"])
        return exits.OK

    def _print(self, command: BaseCommand, calls: list[HandlerCall], *, is_json: bool) -> None:
        if is_json:
            names = (
                "id", "handler", "event", "job_id", "attempt", "state", "tries", "created_at", "next_try_at",
                "finished_at", "last_error",
            )  # fmt: skip
            print_json(command, "handlers", [{name: getattr(call, name) for name in names} for call in calls])
            return
        if not calls:
            note(command, "No such call.")
            return
        cells = [
            (
                call.pk, call.handler, call.event, short_id(call.job_id) if call.job_id else "", call.state, call.tries,
                ago(call.next_try_at), ago(call.created_at), _last_line(call.last_error),
            )
            for call in calls
        ]  # fmt: skip
        columns = ("id", "handler", "event", "job id", "state", "tries", "next try", "since", "error")
        print_table(command, columns, cells)


def _last_line(error: str) -> str:
    return error.strip().splitlines()[-1] if error.strip() else ""
