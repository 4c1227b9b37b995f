"""This package's worker that goes on: waiting for jobs, or watching them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from django.db import connections
from django.db.backends.signals import connection_created
from django.test import override_settings

from bench import noting
from bench.child import StartLine
from bench.systems.own import prepare, version
from bench.timing import wait_while
from container_manager import queue_manager
from container_manager.executors.fake import Script
from container_manager.models import ContainerJob
from container_manager.states import Status
from container_manager.worker import WorkerLoop, WorkerOptions

__all__ = ["idle", "pick_up", "prepare", "serve", "version", "watch"]
SETTLING = 5.0
"""Seconds that a worker is given to come to rest."""


def serve(start_line: StartLine, settings: dict[str, Any]) -> dict[str, Any]:
    """Until it is killed."""
    start_line()
    with override_settings(CONTAINER_MANAGER=settings):
        WorkerLoop(WorkerOptions()).run()
    return {}


def pick_up(start_line: StartLine, count: int, settings: dict[str, Any]) -> dict[str, float]:
    """Until the engine started the job, by its own clock, which is this machine's."""

    def queue() -> Callable[[], float]:
        job = queue_manager.create_and_queue(command="true")

        def when() -> float:
            while True:
                row = ContainerJob.objects.filter(pk=job.pk, started_at__isnull=False).values("started_at").first()
                if row:
                    return float(row["started_at"].timestamp())
                time.sleep(0.005)

        return when

    with override_settings(CONTAINER_MANAGER=settings):
        return noting.pick_up(start_line, count, queue)


def idle(start_line: StartLine, seconds: float, settings: dict[str, Any]) -> dict[str, float]:
    """Statements that a worker without a job sends, and its processor time."""
    return _measured(start_line, seconds, settings, WorkerOptions(), lambda: time.sleep(SETTLING))


def watch(start_line: StartLine, count: int, seconds: float, settings: dict[str, Any]) -> dict[str, float]:
    """The same, while ``count`` jobs run."""
    command = Script(seconds=None).command()
    queue_manager.queue_jobs([ContainerJob(command=command) for _ in range(count)])

    def settle() -> None:
        wait_while(lambda: ContainerJob.objects.filter(status=Status.RUNNING).count() < count, 0.5)
        time.sleep(SETTLING)

    return _measured(start_line, seconds, settings, WorkerOptions(concurrency=count), settle)


def _measured(
    start_line: StartLine, seconds: float, settings: dict[str, Any], options: WorkerOptions, settle: Callable[[], None]
) -> dict[str, float]:
    process, answer = psutil.Process(), dict[str, float]()
    with override_settings(CONTAINER_MANAGER=settings), _counted() as count:
        loop = WorkerLoop(options)

        def measure() -> None:
            settle()
            began, statements, used = time.monotonic(), count(), time.process_time()
            time.sleep(seconds)
            passed = time.monotonic() - began
            answer["statements_per_second"] = (count() - statements) / passed
            answer["processor_percent"] = 100 * (time.process_time() - used) / passed
            answer["memory_mb"] = process.memory_info().rss / 1e6
            loop.request_stop()

        start_line()
        observer = threading.Thread(target=measure, daemon=True)
        observer.start()
        loop.run()
        observer.join()
    return answer


@contextmanager
def _counted() -> Iterator[Callable[[], int]]:
    """How many statements Django has sent, in any thread, so far."""
    sent: list[None] = []
    connections.close_all()

    def note(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        sent.append(None)
        return execute(sql, parameters, many, context)

    def connected(connection: Any, **_: Any) -> None:
        if note not in connection.execute_wrappers:
            connection.execute_wrappers.append(note)

    connection_created.connect(connected)
    try:
        yield lambda: len(sent)
    finally:
        connection_created.disconnect(connected)
