"""A job that is queued while the process traces carries the context of the span in which that happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from container_manager import telemetry
from container_manager.models import ContainerJob


@contextmanager
def published(jobs: Sequence[ContainerJob]) -> Iterator[None]:
    """Where the process traces, the jobs carry the context of the span in which they are queued."""
    if not telemetry.is_tracing() or not jobs:
        yield
        return
    with telemetry.publishing([job.queue for job in jobs], [job.pk for job in jobs]) as context:
        for job in jobs:
            job.trace_context = context
        yield


def traced(job: ContainerJob) -> dict[str, Any]:
    """What a row that is there already gets of it."""
    return {"trace_context": job.trace_context} if telemetry.is_tracing() else {}
