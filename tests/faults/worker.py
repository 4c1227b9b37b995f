"""
A worker that dies, or freezes, at a named point of the launch protocol.

``python -m tests.faults.worker POINT COUNT HOW [worker options]``: at the COUNT-th arrival at
POINT the process gets the signal HOW (KILL or STOP) from itself. Nothing else differs from
``containers worker``: the points are wrapped around the real functions. ``TEST_HANDLERS`` names a
module of handlers to import first.
"""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import DEFAULT_DB_ALIAS, connections  # noqa: E402

from container_manager import claiming, lanes, turns  # noqa: E402
from container_manager.handlers import delivery  # noqa: E402
from container_manager.services import finishing, inputs, launching, outputs, recording  # noqa: E402
from container_manager.services.streams import CountedStream  # noqa: E402
from container_manager.worker import host_runner, observer, output_moves  # noqa: E402


def _before(function: Callable[..., Any], die: Callable[[], None]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if args[:1] != ([],):
            die()
        return function(*args, **kwargs)

    return wrapped


def _after(function: Callable[..., Any], die: Callable[[], None]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if args[:1] != ([],) and (result is None or result):
            die()
        return result

    return wrapped


def _while_reading(stream: type[CountedStream], die: Callable[[], None]) -> type[CountedStream]:
    class Watched(stream):  # type: ignore[valid-type, misc]
        def read(self, size: int = -1) -> bytes:
            data: bytes = super().read(size)
            die()
            return data

    return Watched


POINTS: Final[dict[str, tuple[Any, str, Callable[..., Any]]]] = {
    "inside_claim": (claiming, "_claims_of", _before),
    "after_claim": (claiming, "claim", _after),
    "before_create": (launching, "create", _before),
    "after_create": (launching, "create", _after),
    "after_confirm": (launching, "confirm", _after),
    "before_start": (launching, "start", _before),
    "after_start": (launching, "start", _after),
    "before_record": (recording, "record_started", _before),
    "while_running": (recording, "record_started", _after),
    "after_exit": (observer.Observer, "_end", _after),
    "before_finish": (finishing, "finish", _before),
    "before_remove": (host_runner.HostRunner, "_remove", _before),
}

HANDLER_POINTS: Final[dict[str, tuple[Any, str, Callable[..., Any]]]] = {
    "after_take": (delivery, "take", _after),
    "before_handler": (delivery, "deliver", _before),
    "after_handler": (delivery, "deliver", _after),
    "after_recorded": (delivery, "record_delivered", _after),
}
"""Those that only a worker with handlers comes to."""

FILE_POINTS: Final[dict[str, tuple[Any, str, Callable[..., Any]]]] = {
    "before_put": (inputs, "hand_over", _before),
    "inside_put": (inputs, "CountedStream", _while_reading),
    "after_put": (inputs, "hand_over", _after),
    "after_put_recorded": (inputs, "record", _after),
    "before_harvest": (outputs, "begin", _before),
    "after_harvest_begun": (outputs, "begin", _after),
    "inside_store": (outputs, "CountedStream", _while_reading),
    "after_store": (outputs, "_store", _after),
    "after_collect": (outputs, "collect", _after),
    "inside_publish": (outputs, "_show", _after),
    "after_publish": (outputs, "publish", _after),
}
"""Those that only jobs with files come to."""

OUTPUT_POINTS: Final[dict[str, tuple[Any, str, Callable[..., Any]]]] = {
    "before_output_stored": (output_moves, "_store", _before),
    "after_output_stored": (output_moves, "_store", _after),
    "after_output_moved": (output_moves.OutputMoves, "_publish", _after),
}
"""Those that only a worker with ``OUTPUT_STORE`` comes to."""

LIMIT_POINTS: Final[dict[str, tuple[Any, str, Callable[..., Any]]]] = {
    "inside_take": (lanes, "take", _after),
    "after_places": (turns, "_admit", _after),
    "inside_give_back": (lanes, "_give_back", _after),
}
"""Those that only limited jobs come to."""


def main() -> None:
    point, count, how, *options = sys.argv[1:]
    if module := os.environ.get("TEST_HANDLERS"):
        importlib.import_module(module)
    if point != "never":
        owner, name, around = {**POINTS, **HANDLER_POINTS, **FILE_POINTS, **OUTPUT_POINTS, **LIMIT_POINTS}[point]
        arrivals = itertools.count(1)

        main_connection = connections[DEFAULT_DB_ALIAS]

        def die() -> None:
            if next(arrivals) == int(count):
                while how == "STOP" and point != "inside_claim" and main_connection.in_atomic_block:
                    # Frozen between transactions, not in another thread's: that is a point of its own.
                    time.sleep(0.001)
                os.kill(os.getpid(), signal.Signals[f"SIG{how}"])

        setattr(owner, name, around(getattr(owner, name), die))
    call_command("containers", "worker", *options, verbosity=int(os.environ.get("TEST_VERBOSITY", "1")))


if __name__ == "__main__":
    main()
