"""The output of a job by REST: by cursor, as text, waiting for more, and as a stream."""

from __future__ import annotations

import json
import threading
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connections
from django.test import AsyncClient
from uuid_utils.compat import uuid7

from container_manager import claiming, queue_manager
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.services.output import OutputWriter, store_output
from container_manager.services.recording import record_started
from container_manager.specs import LogBatch, LogEntry, Stream
from tests.api.conftest import Api
from tests.api.test_jobs import problem


class Running:
    """A running job that writes what a test says."""

    def __init__(self, host: ExecutorHost) -> None:
        self.worker: UUID = uuid7()
        self.job = queue_manager.create_and_queue(command="true")
        self.claim()

    def claim(self) -> None:
        host = ExecutorHost.objects.get()
        claim = claiming.claim(host, self.worker, queue="default", limit=1, using="default")[0]
        record_started([(claim, "x")], "default", owner=self.worker)
        self.writer, self.number = OutputWriter(claim.attempt_id), claim.number
        self.job.refresh_from_db()

    def write(self, data: bytes, stream: Stream = Stream.STDOUT) -> None:
        write = self.writer.take(LogBatch((LogEntry(stream, data),), "c"))
        assert write is not None
        assert store_output([write], self.worker, "default")

    def end(self) -> None:
        self.job.refresh_from_db()
        self.job.mark_as_completed()

    def __str__(self) -> str:
        return f"/jobs/{self.job.pk}/logs/"


@pytest.fixture
def running(host: ExecutorHost) -> Running:
    return Running(host)


def texts(answer: dict[str, Any]) -> list[str]:
    return [entry["text"] for entry in answer["entries"]]


@pytest.mark.django_db(transaction=True)
def test_output_is_read_on_from_a_cursor_to_its_end(api: Api, running: Running) -> None:
    running.write(b"one\n")
    first = api.get(str(running)).json()
    assert (texts(first), first["is_complete"]) == (["one\n"], False)
    running.write("zwei\xff\n".encode("latin-1"), Stream.STDERR)
    second = api.get(f"{running}?after={first['after']}").json()
    assert texts(second) == ["zwei\N{REPLACEMENT CHARACTER}\n"]
    assert second["entries"][0]["stream"] == "stderr"
    running.end()
    last = api.get(f"{running}?after={second['after']}").json()
    assert (last["entries"], last["is_complete"]) == ([], True)
    assert texts(api.get(f"{running}?stream=stderr").json()) == texts(second)
    assert texts(api.get(f"{running}?limit=1").json()) == texts(first) + texts(second)


@pytest.mark.django_db(transaction=True)
def test_a_character_that_two_pieces_share_is_whole(api: Api, running: Running) -> None:
    running.write("ä".encode()[:1])
    running.write("ä".encode()[1:])
    assert "".join(texts(api.get(str(running)).json())) == "ä"


@pytest.mark.django_db(transaction=True)
def test_as_plain_text_it_is_the_bytes_themselves(api: Api, running: Running) -> None:
    running.write(b"a\0b\xff")
    answer = api.get(str(running), Accept="text/plain")
    assert (answer.content, answer["Content-Type"]) == (b"a\0b\xff", "text/plain; charset=utf-8")
    assert answer["X-Log-Complete"] == "false"
    assert api.get(f"{running}?after={answer['X-Log-After']}", Accept="text/plain").content == b""


@pytest.mark.django_db(transaction=True)
def test_a_reader_goes_on_with_the_next_attempt_unless_it_wants_one(api: Api, running: Running) -> None:
    running.write(b"first\n")
    running.job.mark_as_failed()
    cursor = api.get(str(running)).json()["after"]
    queue_manager.retry_job(running.job)
    running.claim()
    running.write(b"second\n")
    moved = api.get(f"{running}?after={cursor}").json()
    answer = moved if moved["entries"] else api.get(f"{running}?after={moved['after']}").json()
    assert (texts(answer), answer["is_complete"]) == (["second\n"], False)
    only = api.get(f"{running}?attempt=1").json()
    assert texts(only) == ["first\n"]
    assert api.get(f"{running}?attempt=1&after={only['after']}").json()["is_complete"]
    assert JobAttempt.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_long_poll_returns_as_soon_as_there_is_more(api: Api, running: Running) -> None:
    def write_later() -> None:
        try:
            running.write(b"late\n")
        finally:
            connections.close_all()

    cursor = api.get(str(running)).json()["after"]
    thread = threading.Timer(0.3, write_later)
    thread.start()
    answer = api.get(f"{running}?after={cursor}&wait=30").json()
    thread.join()
    assert texts(answer) == ["late\n"]


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["after=x", "after=1.2", "after=1.2.99999999999", "attempt=0", "wait=31", "stream=x"])
def test_a_wrong_query_is_refused(api: Api, job: ContainerJob, query: str) -> None:
    problem(api.get(f"/jobs/{job.pk}/logs/?{query}"), 400, "bad-query")


@pytest.mark.django_db
def test_without_asgi_the_stream_points_to_polling(api: Api, job: ContainerJob) -> None:
    assert "wait=" in problem(api.get(f"/jobs/{job.pk}/logs/stream/"), 406, "needs-asgi")["detail"]


@pytest.mark.django_db(transaction=True)
def test_under_asgi_output_is_streamed_to_its_end_and_from_where_a_reader_was(running: Running) -> None:
    user = User.objects.create_superuser("root")
    running.write(b"one\n")
    running.write(b"two\n")
    running.end()

    async def read(**headers: str) -> list[dict[str, str]]:
        client = AsyncClient()
        await client.aforce_login(user)
        response: Any = await client.get(f"/api/v1{running}stream/", headers=headers)
        assert response["Content-Type"] == "text/event-stream"
        text = "".join([part.decode() async for part in response.streaming_content])
        blocks = [block.splitlines() for block in text.split("\n\n") if block]
        return [dict(line.split(": ", 1) for line in block) for block in blocks]

    events = async_to_sync(read)()
    assert [event["event"] for event in events] == ["output", "output", "end"]
    assert [json.loads(event["data"])["text"] for event in events[:2]] == ["one\n", "two\n"]
    assert "id" not in events[0]
    rest = async_to_sync(read)(Last_Event_ID=events[1]["id"])
    assert [event["event"] for event in rest] == ["end"]
