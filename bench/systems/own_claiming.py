"""This package's claim beside very many jobs."""

from __future__ import annotations

from typing import Any

from uuid_utils.compat import uuid7

from bench import filling
from bench.child import StartLine
from bench.systems.own import prepare, version
from bench.timing import each_timed
from container_manager import claiming
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import Status

__all__ = ["claim", "fill", "prepare", "restore", "version"]


def fill(_: StartLine, ready: int, crowd: int) -> dict[str, Any]:
    """``crowd``: as many scheduled jobs, finished ones, and ready ones of another queue."""
    ExecutorHost.objects.update(max_concurrent_jobs=1_000_000)
    number = filling.ready(ready)
    if crowd:
        number = filling.scheduled(crowd, number)
        number = filling.finished(crowd, number)
        filling.ready(crowd, number, queue="other", priority=100)
    return {}


def claim(start_line: StartLine, limit: int, count: int) -> dict[str, float]:
    host, worker = ExecutorHost.objects.get(), uuid7()
    taken = 0

    def once() -> None:
        nonlocal taken
        taken += len(claiming.claim(host, worker, queue="default", limit=limit, using="default"))

    once()
    answer = each_timed(start_line, count, once)
    return {**answer, "taken": taken}


def restore(_: StartLine) -> dict[str, int]:
    filling.restore()
    return {"active": ContainerJob.objects.filter(status=Status.LAUNCHING).count()}
