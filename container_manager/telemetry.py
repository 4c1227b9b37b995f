"""
OpenTelemetry: a producer span where a job is queued, a consumer span where it is launched, linked to each other.

Nothing is imported and nothing costs in a process that does not trace: one that does has imported the API itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final
from uuid import UUID

NAME: Final = "container_manager"


def is_tracing() -> bool:
    """Whether this process has loaded OpenTelemetry's API."""
    return "opentelemetry.trace" in sys.modules


@contextmanager
def publishing(queues: Sequence[str], job_ids: Sequence[UUID]) -> Iterator[dict[str, str] | None]:
    """
    The span in which these jobs are queued; yields its W3C context, ``None`` = this process does not trace.

    An error that leaves the block is recorded with the span.
    """
    if not is_tracing():
        yield None
        return
    trace = sys.modules["opentelemetry.trace"]
    queue = queues[0] if len(set(queues)) == 1 else ""
    attributes = {"messaging.operation.name": "publish", "messaging.operation.type": "send", **_common(queue)}
    if len(job_ids) == 1:
        attributes["messaging.message.id"] = str(job_ids[0])
    else:
        attributes["messaging.batch.message_count"] = len(job_ids)
    with trace.get_tracer(NAME).start_as_current_span(
        f"publish {queue}".strip(), kind=trace.SpanKind.PRODUCER, attributes=attributes
    ):
        carrier: dict[str, str] = {}
        _propagator().inject(carrier)
        yield carrier or None


def launched(
    queue: str,
    job_id: UUID,
    attempt: int,
    *,
    context: Mapping[str, str] | None,
    claimed_at_ns: int,
    error: str = "",
) -> None:
    """The launch of an attempt, from its claim to now, is a span of its own, linked to the one that queued the job."""
    if not is_tracing():
        return
    trace = sys.modules["opentelemetry.trace"]
    attributes = {
        "messaging.operation.name": "process", "messaging.operation.type": "process", **_common(queue),
        "messaging.message.id": str(job_id), "container_manager.attempt": attempt,
    }  # fmt: skip
    links = []
    if context:
        queued = trace.get_current_span(_propagator().extract(context)).get_span_context()
        links.append(trace.Link(queued))
    # A root: a job may wait for days, and no trace should stay open so long.
    root = import_module("opentelemetry.context").Context()
    span = trace.get_tracer(NAME).start_span(
        f"process {queue}", context=root, kind=trace.SpanKind.CONSUMER, attributes=attributes, links=links,
        start_time=claimed_at_ns,
    )  # fmt: skip
    if error:
        span.set_status(trace.StatusCode.ERROR, error)
    span.end()


def variables(context: Mapping[str, str] | None) -> dict[str, str]:
    """What a container is told: ``TRACEPARENT``, and ``TRACESTATE`` if there is any."""
    return {name.upper(): value for name, value in (context or {}).items()}


def _common(queue: str) -> dict[str, Any]:
    destination = {"messaging.destination.name": queue} if queue else {}
    return {"messaging.system": NAME, **destination}


def _propagator() -> Any:
    # W3C's, whatever the process propagates over HTTP: it is what the variable TRACEPARENT holds.
    return import_module("opentelemetry.trace.propagation.tracecontext").TraceContextTextMapPropagator()
