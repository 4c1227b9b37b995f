"""procrastinate: its Django app for queueing, its own worker with an asynchronous task."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from bench import noting
from bench.child import StartLine
from bench.noting import Notes, When
from bench.timing import timed

IN_HAND = 100


@app.task(name="noop")
async def noop(number: int) -> None:
    return None


@app.task(name="note")
async def note(path: str) -> None:
    noting.note(path)


def version() -> str:
    return version_of("procrastinate")


def prepare(_: StartLine) -> None:
    call_command("migrate", verbosity=0)


def enqueue_one(start_line: StartLine, count: int) -> dict[str, Any]:
    noop.defer(number=0)

    def work() -> None:
        for number in range(count):
            noop.defer(number=number)

    return timed(start_line, count, work)


def enqueue_one_in_transaction(start_line: StartLine, count: int) -> dict[str, Any]:
    noop.defer(number=0)

    def work() -> None:
        with transaction.atomic():
            for number in range(count):
                noop.defer(number=number)

    return timed(start_line, count, work)


def enqueue_bulk(start_line: StartLine, count: int) -> dict[str, Any]:
    noop.defer(number=0)
    return timed(start_line, count, lambda: noop.batch_defer(*({"number": number} for number in range(count))))


fill = enqueue_bulk


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    worker_app = app.with_connector(app.connector.get_worker_connector())  # type: ignore[attr-defined]
    connection.close()
    return timed(
        start_line,
        count,
        lambda: worker_app.run_worker(wait=False, concurrency=IN_HAND, install_signal_handlers=False),
    )


def unfinished(_: StartLine) -> dict[str, int]:
    return {"count": ProcrastinateJob.objects.exclude(status="succeeded").count()}


def serve(start_line: StartLine) -> None:
    """Until it is killed."""
    worker_app = app.with_connector(app.connector.get_worker_connector())  # type: ignore[attr-defined]
    connection.close()
    start_line()
    worker_app.run_worker(install_signal_handlers=False)


def pick_up(start_line: StartLine, path: str, count: int) -> dict[str, float]:
    notes = Notes(path)

    def queue() -> When:
        note.defer(path=path)
        return notes.expect()

    return noting.pick_up(start_line, count, queue)
