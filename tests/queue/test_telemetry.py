"""Spans of a process that traces, with OpenTelemetry's own SDK."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from container_manager import queue_manager
from container_manager.exceptions import QueueCapacityError
from container_manager.executors.fake import FakeEngine, Script
from container_manager.models import ContainerJob, ExecutorHost

pytestmark = pytest.mark.django_db


class Spans:
    """What the process has exported."""

    def __init__(self, provider: TracerProvider) -> None:
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def of(self, kind: trace.SpanKind) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.kind is kind]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    provider = TracerProvider()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return Spans(provider)


def traceparent(span: ReadableSpan | trace.Link) -> str:
    context = span.context
    assert context is not None
    ids = f"{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}"
    return f"00-{ids}-{int(context.trace_flags):02x}"


def test_a_job_carries_the_span_that_queued_it_to_its_container(
    spans: Spans, host: ExecutorHost, fake_engine: FakeEngine
) -> None:
    with trace.get_tracer("a request").start_as_current_span("request") as request:
        job = queue_manager.create_and_queue(command="true", queue="default")
    (published,) = spans.of(trace.SpanKind.PRODUCER)
    assert (published.name, published.parent) == ("publish default", request.get_span_context())
    assert published.attributes is not None
    assert published.attributes["messaging.message.id"] == str(job.pk)
    job.refresh_from_db()
    assert job.trace_context == {"traceparent": traceparent(published)}

    assert queue_manager.launch_job(job) == {"success": True}
    (execution,) = fake_engine.executions.values()
    assert execution.spec.environment == {"TRACEPARENT": traceparent(published)}
    (processed,) = spans.of(trace.SpanKind.CONSUMER)
    assert (processed.name, processed.parent) == ("process default", None)
    assert [traceparent(link) for link in processed.links] == [traceparent(published)]
    assert processed.status.is_unset
    assert processed.start_time is not None
    assert processed.end_time is not None
    assert processed.start_time <= processed.end_time


def test_jobs_that_are_queued_together_share_one_span(spans: Spans) -> None:
    known = [ContainerJob.objects.create(command="true") for _ in range(2)]
    queue_manager.queue_jobs([*known, ContainerJob(command="true")])
    (published,) = spans.of(trace.SpanKind.PRODUCER)
    assert published.attributes is not None
    assert published.attributes["messaging.batch.message_count"] == 3
    contexts = ContainerJob.objects.values_list("trace_context", flat=True)
    assert list(contexts) == [{"traceparent": traceparent(published)}] * 3


def test_a_launch_that_fails_is_a_span_with_the_error(spans: Spans, host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command=Script(create_error="specification").command())
    assert not queue_manager.launch_job(job)["success"]
    (processed,) = spans.of(trace.SpanKind.CONSUMER)
    assert processed.status.status_code is trace.StatusCode.ERROR
    assert processed.status.description


def test_a_job_that_is_queued_again_has_the_new_span_and_a_clone_none(spans: Spans) -> None:
    job = queue_manager.create_and_queue(command="true")
    queue_manager.dequeue_job(job)
    assert queue_manager.clone_job(job).trace_context is None
    queue_manager.queue_job(job)
    first, second = spans.of(trace.SpanKind.PRODUCER)
    job.refresh_from_db()
    assert job.trace_context == {"traceparent": traceparent(second)}
    assert traceparent(first) != traceparent(second)


def test_a_job_that_is_refused_is_not_published(spans: Spans, settings: Any) -> None:
    settings.CONTAINER_MANAGER = {"MAX_QUEUE_DEPTH": 0}
    with pytest.raises(QueueCapacityError):
        queue_manager.create_and_queue(command="true")
    assert spans.of(trace.SpanKind.PRODUCER) == []


def test_the_jobs_own_variable_is_kept(spans: Spans, host: ExecutorHost, fake_engine: FakeEngine) -> None:
    job = queue_manager.create_and_queue(command="true", environment={"TRACEPARENT": "mine"})
    assert queue_manager.launch_job(job) == {"success": True}
    (execution,) = fake_engine.executions.values()
    assert execution.spec.environment["TRACEPARENT"] == "mine"
    assert spans.of(trace.SpanKind.CONSUMER)


def test_an_api_without_an_sdk_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    job = queue_manager.create_and_queue(command="true")
    job.refresh_from_db()
    assert job.trace_context is None
