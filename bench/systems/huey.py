"""huey with its PostgreSQL storage. It has no bulk form; its consumer is stopped when nothing is left."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from django.conf import settings
from huey import PostgresHuey
from huey.consumer import Consumer

from bench import noting
from bench.child import StartLine
from bench.noting import Notes, When
from bench.timing import timed, wait_while


def make() -> PostgresHuey:
    database = settings.DATABASES["default"]
    return PostgresHuey(
        "bench", dbname=database["NAME"], host=database["HOST"], port=database["PORT"], user=database["USER"],
        password=database["PASSWORD"] or None,
    )  # fmt: skip


queue = make()
done: list[int] = []


@queue.task()
def noop(number: int) -> None:
    done.append(number)


@queue.task()
def note(path: str) -> None:
    noting.note(path)


def version() -> str:
    return version_of("huey")


def prepare(_: StartLine) -> None:
    noop(0)
    queue.flush()


def enqueue_one(start_line: StartLine, count: int) -> dict[str, Any]:
    noop(0)

    def work() -> None:
        for number in range(count):
            noop(number)

    return timed(start_line, count, work)


def fill(start_line: StartLine, count: int) -> dict[str, Any]:
    return enqueue_one(start_line, count)


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    consumer = Consumer(queue, workers=1, periodic=False)

    def work() -> None:
        consumer.start()
        wait_while(queue.pending_count)

    answer = timed(start_line, count, work)
    consumer.stop(graceful=True)
    return answer


def unfinished(_: StartLine) -> dict[str, int]:
    return {"count": queue.pending_count()}


def serve(start_line: StartLine) -> None:
    """Until it is killed; with its own intervals."""
    start_line()
    Consumer(queue, workers=1, periodic=False).run()


def pick_up(start_line: StartLine, path: str, count: int) -> dict[str, float]:
    notes = Notes(path)

    def send() -> When:
        note(path)
        return notes.expect()

    return noting.pick_up(start_line, count, send)
