"""``containers worker``: run the loop."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping
from types import FrameType
from typing import Any, Final
from uuid import UUID

from django.core.management.base import BaseCommand, CommandParser

from container_manager.management import exits, log_lines
from container_manager.management.arguments import positive, seconds
from container_manager.management.database import database_problem
from container_manager.management.verbs.base import Verb
from container_manager.queue import queue_manager
from container_manager.worker import WorkerLoop, WorkerOptions

_LEVELS: Final = {0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG, 3: logging.DEBUG}


class WorkerVerb(Verb):
    name = "worker"
    help = "Claim jobs, run them and watch them until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", action="append", default=[], metavar="NAME", help="Only this queue; repeatable.")
        parser.add_argument("--host", action="append", default=[], metavar="NAME", help="Only this host; repeatable.")
        parser.add_argument("--node", help="The node this worker is on; default: the machine's name.")
        parser.add_argument(
            "--concurrency", type=positive, default=10, metavar="N", help="Most jobs at once (default 10)."
        )
        parser.add_argument("--drain", action="store_true", help="Exit when no job of its queues is left.")
        parser.add_argument("--poll-interval", type=seconds, metavar="SECONDS", help="Between looks at an idle queue.")
        parser.add_argument(
            "--health-file", default="", metavar="PATH", help="Touched every few seconds while all is well."
        )
        parser.add_argument(
            "--log-format", choices=("text", "json"),
            help="Log to standard error so, with -v 2 in detail; default: as the project's LOGGING says, else as text "
            "on a terminal.",
        )  # fmt: skip

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> int:
        problem = database_problem(queue_manager.using)
        if problem:
            command.stderr.write(problem)
            return exits.ERROR
        given = {key: options[key] for key in ("node", "poll_interval") if options[key] is not None}
        loop = WorkerLoop(
            WorkerOptions(
                queues=tuple(options["queue"]),
                hosts=tuple(options["host"]),
                concurrency=options["concurrency"],
                drain=options["drain"],
                health_file=options["health_file"],
                **given,
            )
        )
        _set_up_logging(command, options, loop.id)
        signals_seen = 0

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            nonlocal signals_seen
            signals_seen += 1
            if signals_seen > 1:
                # As safe as a crash: others rescue.
                os._exit(exits.INTERRUPTED)
            loop.request_stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        loop.run()
        return exits.OK


def _set_up_logging(command: BaseCommand, options: Mapping[str, Any], worker: UUID) -> None:
    form = options["log_format"]
    if form is None and command.stderr.isatty() and not log_lines.is_configured():
        form = "text"
    if form is not None:
        log_lines.log_to_stderr(form, _LEVELS[options["verbosity"]], {"worker": str(worker)})
