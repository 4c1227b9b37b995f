"""This package's worker on a Docker engine."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command

from bench.child import StartLine
from bench.systems import sdk
from bench.systems.own import unfinished, version
from bench.timing import timed
from container_manager import queue_manager
from container_manager.models import ContainerJob, ExecutorHost, Installation
from container_manager.worker import WorkerLoop, WorkerOptions

__all__ = ["drain", "fill", "forget", "prepare", "unfinished", "version"]


def prepare(_: StartLine) -> None:
    call_command("migrate", verbosity=0)
    ExecutorHost.objects.create(
        name="docker", executor_type="docker", options={"base_url": sdk.ADDRESS}, max_concurrent_jobs=1_000
    )


def fill(_: StartLine, count: int) -> dict[str, Any]:
    queue_manager.queue_jobs([ContainerJob(image=sdk.IMAGE, command=sdk.COMMAND) for _ in range(count)])
    return {}


def drain(start_line: StartLine, count: int, concurrency: int) -> dict[str, Any]:
    """``concurrency`` jobs in hand, and as many starts at once."""
    loop = WorkerLoop(WorkerOptions(drain=True, concurrency=concurrency, start_concurrency=concurrency))
    return timed(start_line, count, loop.run)


def forget(_: StartLine) -> dict[str, int]:
    """What a broken round left on the engine is gone."""
    return {"removed": sdk.remove_all(name=f"cm-{Installation.current('default').identifier}-")}
