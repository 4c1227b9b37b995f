"""django-tasks-db: ``task.enqueue()`` and ``manage.py db_worker --batch``. It has no bulk form."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from django.core.management import call_command
from django.db import transaction
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from bench import noting
from bench.child import StartLine
from bench.noting import Notes, When
from bench.timing import timed


@task()
def noop(number: int) -> None:
    return None


@task()
def note(path: str) -> None:
    noting.note(path)


def version() -> str:
    return version_of("django-tasks-db")


def prepare(_: StartLine) -> None:
    call_command("migrate", verbosity=0)


def enqueue_one(start_line: StartLine, count: int) -> dict[str, Any]:
    noop.enqueue(number=0)

    def work() -> None:
        for number in range(count):
            noop.enqueue(number=number)

    return timed(start_line, count, work)


def enqueue_one_in_transaction(start_line: StartLine, count: int) -> dict[str, Any]:
    noop.enqueue(number=0)

    def work() -> None:
        with transaction.atomic():
            for number in range(count):
                noop.enqueue(number=number)

    return timed(start_line, count, work)


def fill(start_line: StartLine, count: int) -> dict[str, Any]:
    return enqueue_one_in_transaction(start_line, count)


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    return timed(
        start_line,
        count,
        lambda: call_command("db_worker", batch=True, startup_delay=False, interval=0.1, verbosity=0),
    )


def unfinished(_: StartLine) -> dict[str, int]:
    return {"count": DBTaskResult.objects.exclude(status="SUCCESSFUL").count()}


def serve(start_line: StartLine) -> None:
    """Until it is killed; with its own interval."""
    start_line()
    call_command("db_worker", startup_delay=False, verbosity=0)


def pick_up(start_line: StartLine, path: str, count: int) -> dict[str, float]:
    notes = Notes(path)

    def queue() -> When:
        note.enqueue(path=path)
        return notes.expect()

    return noting.pick_up(start_line, count, queue)
