"""The systems whose idle worker is asked about, each with its own way to hear of jobs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from bench.questions.question import Cell, Options, Values

POLLING: Final = {"RETENTION": None, "NOTIFY": False}
NOTIFIED: Final = {"RETENTION": None, "NOTIFY": True}
PEERS: Final = {
    "postgres": ("procrastinate", "pgqueuer", "django_tasks_db", "django_q2", "huey", "celery"),
    "mariadb": ("django_tasks_db", "django_q2"),
    "sqlite": ("django_tasks_db",),
}

Measure = Callable[[str, Options, dict[str, Any] | None], Values]
"""Of a system, with the settings of this package or ``None`` for a peer."""


def serving_cells(measure: Measure, options: Options, *, listening: str) -> list[Cell]:
    """A cell for each; ``listening`` is what this package's is called where it hears of jobs."""
    ways = {listening: NOTIFIED} if options.kind == "postgres" else {}
    found = [
        Cell("own", way, partial(measure, "own_serving", options, settings))
        for way, settings in {**ways, "polling": POLLING}.items()
    ]
    found += [Cell(peer, "as it comes", partial(measure, peer, options, None)) for peer in PEERS[options.kind]]
    return [cell for cell in found if options.wants(cell.system)]
