"""Webhooks: a job's events as signed HTTP requests, by the scheme of standardwebhooks.com."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.serializers.json import DjangoJSONEncoder

from container_manager import conf
from container_manager.exceptions import HandlerError, WebhookRefusedError
from container_manager.handlers.registry import EVENTS, FINISHED, UNSERVED, Rule
from container_manager.models import HandlerCall, Installation

PREFIX: Final = "webhook:"
KEYS: Final = frozenset({"url", "secret", "events", "queues", "definitions", "timeout"})
DEFAULT_TIMEOUT: Final = 10.0
_ANSWER_BYTES: Final = 300


def rules_for(event: str) -> Iterable[Rule]:
    """One rule for each queue and definition that a webhook of the settings names."""
    return [
        Rule(PREFIX + name, event, queue=queue, definition=definition)
        for name, webhook in conf.get("WEBHOOKS").items()
        if event in webhook.get("events", FINISHED)
        for queue, definition in product(webhook.get("queues") or [""], webhook.get("definitions") or [""])
    ]


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One event as it is sent to the webhook ``name``, signed. ``timeout`` in seconds."""

    name: str
    url: str
    body: bytes
    headers: dict[str, str]
    timeout: float


def request_of(call: HandlerCall) -> WebhookRequest:
    """The request of ``call``, signed now. ``HandlerError`` when the settings have no such webhook any more."""
    name = call.handler.removeprefix(PREFIX)
    webhook = conf.get("WEBHOOKS").get(name)
    if webhook is None:
        raise HandlerError(f"WEBHOOKS has no {name!r} any more.")
    body = json.dumps(payload(call), cls=DjangoJSONEncoder).encode()
    message_id = f"{Installation.current(call._state.db or 'default').identifier}-{call.pk}"
    headers = {"Content-Type": "application/json", "User-Agent": "django-container-queue"}
    headers |= signature_headers(message_id, int(time.time()), body, webhook["secret"])
    return WebhookRequest(name, webhook["url"], body, headers, webhook.get("timeout", DEFAULT_TIMEOUT))


def send(call: HandlerCall) -> None:
    """
    The receiver took the request: it answered 2xx.

    ``HandlerError`` otherwise, final for 410 (gone). A redirect is not followed: what is signed for one
    address is sent to no other.
    """
    httpx = _httpx()
    request = request_of(call)
    try:
        with (
            httpx.Client(timeout=request.timeout, follow_redirects=False) as client,
            client.stream("POST", request.url, content=request.body, headers=request.headers) as response,
        ):
            if not response.is_success:
                answer = next(response.iter_bytes(_ANSWER_BYTES), b"").decode(errors="replace")
                raise WebhookRefusedError(request.url, response.status_code, answer)
    except httpx.HTTPError as error:
        raise HandlerError(f"{request.url} was not reached: {type(error).__name__}: {error}") from error


def _httpx() -> Any:
    """The extra ``webhooks``, imported at the first use: most processes send none."""
    try:
        return import_module("httpx")
    except ImportError as error:
        raise HandlerError("Webhooks need httpx: pip install 'django-container-queue[webhooks]'.") from error


def payload(call: HandlerCall) -> dict[str, Any]:
    """What is told: the event's type and time, and the job as it is now. No command, environment or parameters."""
    if call.event == UNSERVED or call.job is None:
        return {"type": f"queue.{call.event}", "timestamp": call.created_at, "data": {"queue": call.subject}}
    names = (
        "id", "name", "queue", "definition", "tenant", "labels", "status", "outcome", "exit_code", "error", "result",
        "created_at", "queued_at", "started_at", "finished_at",
    )  # fmt: skip
    data = {name: getattr(call.job, name) for name in names}
    return {"type": f"job.{call.event}", "timestamp": call.created_at, "data": {**data, "attempt": call.attempt}}


def signature_headers(message_id: str, timestamp: int, body: bytes, secret: str | Sequence[str]) -> dict[str, str]:
    """
    ``webhook-id``, the same at every try; ``webhook-timestamp``; ``webhook-signature`` over both and ``body``.

    Several secrets sign each, so that one can be exchanged without a gap.
    """
    secrets = [secret] if isinstance(secret, str) else secret
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.new(_key(one), content, hashlib.sha256).digest()).decode() for one in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def problems(name: object, webhook: object) -> Iterator[str]:
    """What is wrong with one entry of ``WEBHOOKS``."""
    if not isinstance(name, str) or not name or len(name) > 150 or not isinstance(webhook, Mapping):
        yield "give {'name': {'url': ..., 'secret': ...}}"
        return
    if unknown := [key for key in webhook if key not in KEYS]:
        yield f"unknown key {unknown[0]!r}, known: {', '.join(sorted(KEYS))}"
    parts = urlsplit(str(webhook.get("url", "")))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"url is {webhook.get('url')!r}; give http(s)://host/path"
    secrets = webhook.get("secret")
    secrets = [secrets] if isinstance(secrets, str) else secrets
    if not isinstance(secrets, list | tuple) or not secrets or not all(map(_is_secret, secrets)):
        yield "secret is no text, or whsec_ and what is no base64; give one, or a list of them"
    for key in ("events", "queues", "definitions"):
        value = webhook.get(key, ())
        if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
            yield f"{key} is {value!r}; give a list of names"
        elif key == "events" and (strange := set(value) - {*EVENTS.values(), UNSERVED}):
            yield f"unknown event {sorted(strange)[0]!r}, known: {', '.join([*EVENTS.values(), UNSERVED])}"


def _is_secret(secret: object) -> bool:
    try:
        return isinstance(secret, str) and bool(_key(secret))
    except binascii.Error:
        return False


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix("whsec_")
    return secret.encode() if encoded == secret else base64.b64decode(encoded, validate=True)
