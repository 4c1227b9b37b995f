"""Webhooks reach a real server: signed, retried, and not led elsewhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from container_manager import queue_manager
from container_manager.checks import check_settings
from container_manager.models import ContainerJob, ExecutorHost, HandlerCall, Installation
from tests.handlers.told import make_due

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "whsec_" + base64.b64encode(b"a key of 24 bytes, about").decode()


@dataclass
class Receiver:
    """A server on the loopback that answers as it is told and keeps what it was sent."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    location: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    seen = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.paths.append(self.path)
            seen.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(seen.answers.pop(0) if seen.answers else 204)
            if seen.location:
                self.send_header("Location", seen.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not to the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield seen
    server.shutdown()
    thread.join(timeout=30)
    server.server_close()


def hooked(receiver: Receiver, **more: Any) -> override_settings:
    webhook = {"url": receiver.url, "secret": SECRET, **more}
    return override_settings(CONTAINER_MANAGER={"WEBHOOKS": {"billing": webhook}})


def is_signed(headers: dict[str, str], body: bytes, key: bytes) -> bool:
    """As a receiver would check it, by the text of the standard."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, one) for one in headers["webhook-signature"].split(" "))


def test_the_end_of_a_job_is_posted_and_signed(
    host: ExecutorHost, receiver: Receiver, drain: Callable[[], None]
) -> None:
    with hooked(receiver):
        job = queue_manager.create_and_queue(
            command="true", environment={"PASSWORD": "hidden"}, name="clip", labels={"team": "video"}, tenant="acme"
        )
        drain()
    [(headers, body)] = receiver.requests
    assert is_signed(headers, body, b"a key of 24 bytes, about")
    assert not is_signed(headers, body + b" ", b"a key of 24 bytes, about")
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 3_600
    assert headers["content-type"] == "application/json"
    told = json.loads(body)
    assert told["type"] == "job.completed"
    expected = {
        "id": str(job.pk), "name": "clip", "labels": {"team": "video"}, "tenant": "acme", "status": "completed",
        "outcome": "ok", "exit_code": 0, "attempt": 1,
    }  # fmt: skip
    assert expected.items() <= told["data"].items()
    assert b"hidden" not in body
    assert HandlerCall.objects.get().state == "delivered"


def test_a_refused_request_is_tried_again_under_the_same_id(
    host: ExecutorHost, receiver: Receiver, drain: Callable[[], None]
) -> None:
    receiver.answers = [503]
    with hooked(receiver):
        queue_manager.cancel_job(ContainerJob.objects.create(command="true"))
        drain()
        make_due()
        drain()
    assert len(receiver.requests) == 2
    ids = {headers["webhook-id"] for headers, _ in receiver.requests}
    assert ids == {f"{Installation.current('default').identifier}-{HandlerCall.objects.get().pk}"}
    assert HandlerCall.objects.get().state == "delivered"


def test_a_redirect_is_not_followed(host: ExecutorHost, receiver: Receiver, drain: Callable[[], None]) -> None:
    receiver.answers, receiver.location = [307] * 100, receiver.url + "/elsewhere"
    with hooked(receiver):
        queue_manager.cancel_job(ContainerJob.objects.create(command="true"))
        drain()
    assert "answered 307, which is a redirect, and none is followed" in HandlerCall.objects.get().last_error
    assert set(receiver.paths) == {"/hook"}


def test_a_receiver_that_is_gone_for_good_is_asked_once(
    host: ExecutorHost, receiver: Receiver, drain: Callable[[], None]
) -> None:
    receiver.answers = [410]
    with hooked(receiver):
        queue_manager.cancel_job(ContainerJob.objects.create(command="true"))
        drain()
    assert HandlerCall.objects.get().state == "failed"


def test_a_receiver_that_nobody_is_keeps_the_call_and_says_so(
    host: ExecutorHost, receiver: Receiver, drain: Callable[[], None]
) -> None:
    with hooked(receiver, url="http://127.0.0.1:1/hook"):
        queue_manager.cancel_job(ContainerJob.objects.create(command="true"))
        drain()
    call = HandlerCall.objects.get()
    assert call.state == "waiting"
    assert "http://127.0.0.1:1/hook was not reached: ConnectError" in call.last_error


def test_a_webhook_that_left_the_settings_keeps_its_call_and_says_so(
    host: ExecutorHost, receiver: Receiver, drain: Callable[[], None]
) -> None:
    with hooked(receiver):
        queue_manager.cancel_job(ContainerJob.objects.create(command="true"))
    drain()
    assert "WEBHOOKS has no 'billing' any more" in HandlerCall.objects.get().last_error


def test_events_queues_and_definitions_narrow_what_is_posted(receiver: Receiver) -> None:
    with hooked(receiver, events=["cancelled"], queues=["media"], definitions=["transcode", "thumbnail"]):
        for queue, definition in (("media", "transcode"), ("media", "report"), ("default", "transcode")):
            queue_manager.cancel_job(ContainerJob.objects.create(command="true", queue=queue, definition=definition))
        ContainerJob.objects.create(
            command="true", queue="media", definition="transcode", status="running"
        ).mark_as_completed()
    assert [call.job.definition for call in HandlerCall.objects.all() if call.job] == ["transcode"]


def test_two_secrets_sign_each(host: ExecutorHost, receiver: Receiver, drain: Callable[[], None]) -> None:
    with hooked(receiver, secret=["old", "new"]):
        queue_manager.cancel_job(ContainerJob.objects.create(command="true"))
        drain()
    [(headers, body)] = receiver.requests
    assert is_signed(headers, body, b"old")
    assert is_signed(headers, body, b"new")
    assert not is_signed(headers, body, b"other")


@pytest.mark.parametrize(
    ("webhook", "problem"),
    [
        ({"url": "ftp://example.com", "secret": "x"}, "give http"),
        ({"url": "https://example.com", "secret": ""}, "secret is no text"),
        ({"url": "https://example.com", "secret": "whsec_no base64"}, "secret is no text"),
        ({"url": "https://example.com", "secret": "x", "event": ["failed"]}, "unknown key 'event'"),
        ({"url": "https://example.com", "secret": "x", "events": ["complete"]}, "unknown event 'complete'"),
        ({"url": "https://example.com", "secret": "x", "queues": "media"}, "give a list of names"),
        ("https://example.com", "give {'name'"),
    ],
)
def test_a_webhook_that_is_wrong_is_an_error_of_the_system_check(webhook: Any, problem: str) -> None:
    with override_settings(CONTAINER_MANAGER={"WEBHOOKS": {"billing": webhook}}):
        [found] = check_settings()
    assert found.id == "container_manager.E011"
    assert problem in found.msg
