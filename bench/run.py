"""
Measure: ``python -m bench.run [--question drain] [--size 20000] [--rounds 3] [--database mariadb]``.

Without a question all are asked, in their order, each on every database that it knows, in small: ``--full``
is what the targets are about. A question that was asked keeps its results until it is asked again, so a run
may be broken off at any time.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence

import django
from django.db import Error
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench import machine, plot, results, table, targets
from bench.child import BenchError
from bench.questions import ORDER
from bench.questions.question import Cell, Options, Question
from bench.results import Result, Row
from tests import databases

SHOWN = {
    "own": "container_manager", "own_prepared": "container_manager, prepared statements",
    "floor": "hand-written SQL, same rows", "floor_portable": "hand-written SQL, same rows",
    "procrastinate": "procrastinate", "pgqueuer": "pgqueuer", "django_tasks_db": "django-tasks-db",
    "django_q2": "django-q2", "huey": "huey", "celery": "Celery with Redis", "sdk": "Docker SDK",
}  # fmt: skip


def load(name: str) -> Question:
    question = importlib.import_module(f"bench.questions.{name}").QUESTION
    assert isinstance(question, Question)
    return question


def in_turns(cells: Sequence[Cell], number: int) -> list[Cell]:
    """The cells in another order each round: none is always the first or after the same neighbour."""
    start = (number * max(1, len(cells) // 3)) % max(1, len(cells))
    turned = [*cells[start:], *cells[:start]]
    return turned if number % 2 == 0 else turned[::-1]


def ask(question: Question, options: Options, command: str, console: Console) -> Result:
    """All rounds of all cells; each round is written as soon as it is over."""
    result = Result(
        question=question.name, title=question.title, kind=options.kind, metrics=dict(question.metrics),
        notes=question.notes, size=options.size, command=command, facts=machine.describe(options.kind), titles=SHOWN,
    )  # fmt: skip
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(f"{question.name} on {options.kind}: setting up", total=None)
        with question.cells(options) as cells:
            rows = {(cell.system, cell.case): Row(cell.system, cell.case) for cell in cells}
            result.rows = list(rows.values())
            progress.update(bar, total=len(cells) * options.rounds)
            for number in range(options.rounds):
                if number and time.monotonic() > options.until:
                    break
                for cell in in_turns(cells, number):
                    progress.update(bar, description=f"{question.name} on {options.kind}: {cell.case}, {cell.system}")
                    measure(cell, rows[cell.system, cell.case], console)
                    progress.advance(bar)
                result.write()
    return result


def measure(cell: Cell, row: Row, console: Console) -> None:
    """One more round in ``row``; what went wrong is kept and shown, and the others go on."""
    try:
        row.rounds.append(dict(cell.run()))
    except (BenchError, Error) as error:
        row.trouble = str(error)
        console.print(f"[red]{cell.system}, {cell.case}: {error}")


def report() -> None:
    """The table and the drawings of everything that was ever measured here."""
    known = results.read_all()
    order = {name: position for position, name in enumerate(ORDER)}
    known.sort(key=lambda result: (order.get(result.question, len(order)), result.kind != "postgres", result.kind))
    table.write(known)
    targets.write(known)
    for result in known:
        plot.draw(result)


def read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Questions: " + ", ".join(ORDER))
    parser.add_argument("--question", "-q", action="append", choices=ORDER, help="once or several times; default: all")
    parser.add_argument("--size", "-n", type=int, help="instead of the question's own")
    parser.add_argument("--rounds", "-r", type=int, help="instead of the question's own")
    parser.add_argument("--database", "-d", action="append", choices=["postgres", "mariadb", "sqlite"])
    parser.add_argument("--system", "-s", action="append", default=[], help="only these systems")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one cell of one round may take")
    parser.add_argument("--full", action="store_true", help="the sizes and rounds of the targets: hours")
    parser.add_argument("--minutes", type=float, help="nothing new begins after that; default: 60, in full 300")
    parser.add_argument("--list", action="store_true", help="what each question asks and how long it takes")
    parser.add_argument("--report", action="store_true", help="write tables and drawings again, measure nothing")
    return parser.parse_args(arguments)


def describe(console: Console) -> None:
    for name in ORDER:
        question = load(name)
        console.print(
            f"[bold]{name}[/]: {question.title}. On {', '.join(question.kinds)}; in full {question.bound} at most."
        )


def ask_all(chosen: argparse.Namespace, console: Console) -> int:
    """Everything that was chosen is asked, or the time is over; returns how many cells were in trouble."""
    minutes = chosen.minutes or (300 if chosen.full else 60)
    until = time.monotonic() + 60 * minutes
    console.print(f"Nothing new begins after {minutes:g} minutes; what was measured by then is kept.")
    troubles = 0
    for name in chosen.question or ORDER:
        question = load(name)
        for kind in [kind for kind in question.kinds if not chosen.database or kind in chosen.database]:
            if time.monotonic() > until:
                console.print(f"{name} on {kind}: not asked, the {minutes:g} minutes are over.")
                continue
            if cause := databases.absence(kind):
                console.print(f"{name} on {kind}: skipped, no answer: {cause}")
                continue
            options = Options(
                size=chosen.size or question.size_on(kind, is_full=chosen.full),
                rounds=chosen.rounds or question.rounds_of(is_full=chosen.full), kind=kind,
                limit=chosen.limit, until=until, systems=tuple(chosen.system),
            )  # fmt: skip
            asked = f"make bench Q={name} N={options.size} ROUNDS={options.rounds} DATABASE={kind}"
            result = ask(question, options, asked, console)
            troubles += sum(bool(row.trouble) for row in result.rows)
            console.print(table.section(result), markup=False, highlight=False)
            report()
    return troubles


def main(arguments: Sequence[str]) -> int:
    chosen = read(arguments)
    console = Console()
    if chosen.list:
        describe(console)
        return 0
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")
    django.setup()
    troubles = 0 if chosen.report else ask_all(chosen, console)
    report()
    return 1 if troubles else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
