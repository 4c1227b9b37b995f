"""Tasks of the tests' project: each is imported by the process that runs it, too."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import connection

from container_manager.task_backend.compat import TaskContext, TaskResult, task_finished, task_started

if TYPE_CHECKING:
    from django.tasks import task
else:
    try:
        from django.tasks import task
    except ImportError:
        from django_tasks import task

SIGNALS = "TEST_SIGNALS"
"""Names the file that receivers in the process of a task write to."""


class TooSmallError(Exception):
    """An error of the project's own."""


@task
def add(first: int, second: int = 1) -> int:
    return first + second


@task
async def add_slowly(first: int, second: int) -> int:
    return first + second


@task
def echo(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"args": args, "kwargs": kwargs}


@task
def fail(message: str) -> None:
    raise TooSmallError(message)


@task
def lose_the_database() -> str:
    """As a server does that ends idle sessions."""
    connection.ensure_connection()
    connection.connection.close()
    return "still told"


@task
def leave(code: int) -> None:
    raise SystemExit(code)


@task
def vanish() -> None:
    os._exit(9)


@task
def give_a_set() -> set[int]:
    return {1}


@task(takes_context=True)
def tell_attempt(context: TaskContext, marker: str) -> list[Any]:
    return [context.attempt, context.task_result.id, marker]


@task(takes_context=True, backend="retrying")
def succeed_at_last(context: TaskContext, attempt: int) -> int:
    if context.attempt < attempt:
        raise TooSmallError(f"attempt {context.attempt}")
    return context.attempt


@task
def wait_for_file(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.05)


@task(backend="printing")
def shout(text: str) -> str:
    print(f"shouting {text}")  # noqa: T201 - beside the report
    if not text:
        raise TooSmallError("nothing to shout")
    return text.upper()


def later_a_task(text: str) -> str:
    return text


under_another_name = task(later_a_task)


def _note(kind: str, task_result: TaskResult) -> None:
    if path := os.environ.get(SIGNALS):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{kind} {task_result.status} {task_result.attempts}\n")


def note_start(*, task_result: TaskResult, **_: Any) -> None:
    _note("started", task_result)


def note_end(*, task_result: TaskResult, **_: Any) -> None:
    _note("finished", task_result)


task_started.connect(note_start)
task_finished.connect(note_end)
