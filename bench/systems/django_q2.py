"""django-q2 with its ORM broker. It has no bulk form; its cluster is stopped when nothing is left."""

from __future__ import annotations

import threading
from importlib.metadata import version as version_of
from typing import Any

from django.core.management import call_command
from django.db import connections, transaction
from django_q.cluster import Cluster
from django_q.models import OrmQ
from django_q.tasks import async_task

from bench import noting
from bench.child import StartLine
from bench.noting import Notes, When
from bench.timing import timed, wait_while

NOOP = "bench.systems.django_q2.noop"


def noop(number: int) -> None:
    return None


def version() -> str:
    return version_of("django-q2")


def prepare(_: StartLine) -> None:
    call_command("migrate", verbosity=0)


def enqueue_one(start_line: StartLine, count: int) -> dict[str, Any]:
    async_task(NOOP, 0)

    def work() -> None:
        for number in range(count):
            async_task(NOOP, number)

    return timed(start_line, count, work)


def enqueue_one_in_transaction(start_line: StartLine, count: int) -> dict[str, Any]:
    async_task(NOOP, 0)

    def work() -> None:
        with transaction.atomic():
            for number in range(count):
                async_task(NOOP, number)

    return timed(start_line, count, work)


def fill(start_line: StartLine, count: int) -> dict[str, Any]:
    return enqueue_one_in_transaction(start_line, count)


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    cluster = Cluster()
    connections.close_all()  # its processes are forked

    def work() -> None:
        cluster.start()
        wait_while(OrmQ.objects.exists)

    answer = timed(start_line, count, work)
    cluster.stop()
    return answer


def unfinished(_: StartLine) -> dict[str, int]:
    return {"count": OrmQ.objects.count()}


def serve(start_line: StartLine) -> None:
    """Until it is killed."""
    cluster = Cluster()
    connections.close_all()  # its processes are forked
    start_line()
    cluster.start()
    threading.Event().wait()


def pick_up(start_line: StartLine, path: str, count: int) -> dict[str, float]:
    notes = Notes(path)

    def queue() -> When:
        async_task("bench.noting.note", path)
        return notes.expect()

    return noting.pick_up(start_line, count, queue)
