"""This package, through its public calls only."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import transaction

import container_manager
from bench.child import StartLine
from bench.rows import text_of
from bench.timing import timed
from container_manager import queue_manager
from container_manager.executors.fake import Script
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import TERMINAL
from container_manager.worker import WorkerLoop, WorkerOptions

IN_HAND = 200
"""Of which a claim takes half: a hundred, as hand-written SQL and pgqueuer do."""
AT_ONCE = 10_000


def version() -> str:
    return container_manager.__version__


def prepare(_: StartLine) -> None:
    call_command("migrate", verbosity=0)
    ExecutorHost.objects.create(name="fake", executor_type="fake", max_concurrent_jobs=10_000)


def enqueue_one(start_line: StartLine, count: int) -> dict[str, Any]:
    queue_manager.create_and_queue(command="true")

    def work() -> None:
        for _ in range(count):
            queue_manager.create_and_queue(command="true")

    return timed(start_line, count, work)


def enqueue_one_in_transaction(start_line: StartLine, count: int) -> dict[str, Any]:
    queue_manager.create_and_queue(command="true")

    def work() -> None:
        with transaction.atomic():
            for _ in range(count):
                queue_manager.create_and_queue(command="true")

    return timed(start_line, count, work)


def create_then_queue(start_line: StartLine, count: int) -> dict[str, Any]:
    queue_manager.create_and_queue(command="true")

    def work() -> None:
        for _ in range(count):
            queue_manager.queue_job(ContainerJob.objects.create(command="true"))

    return timed(start_line, count, work)


def enqueue_bulk(start_line: StartLine, count: int) -> dict[str, Any]:
    queue_manager.create_and_queue(command="true")
    return timed(
        start_line, count, lambda: queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(count)])
    )


def fill(start_line: StartLine, count: int, environment_bytes: int = 0, output_bytes: int = 0) -> dict[str, Any]:
    """With ``environment_bytes``, a variable of that size; with ``output_bytes``, jobs that print so much."""
    fields: dict[str, Any] = {"command": Script(flood_bytes=output_bytes).command() if output_bytes else "true"}
    if environment_bytes:
        fields["environment"] = {"DATA": text_of(environment_bytes)}

    def work() -> None:
        for start in range(0, count, AT_ONCE):
            queue_manager.queue_jobs([ContainerJob(**fields) for _ in range(min(AT_ONCE, count - start))])

    return timed(start_line, count, work)


def drain(start_line: StartLine, count: int) -> dict[str, Any]:
    loop = WorkerLoop(WorkerOptions(drain=True, concurrency=IN_HAND))
    return timed(start_line, count, loop.run)


def unfinished(_: StartLine) -> dict[str, int]:
    return {"count": ContainerJob.objects.exclude(status__in=TERMINAL).count()}
