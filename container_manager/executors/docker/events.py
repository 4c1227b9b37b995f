"""What the engine's stream of events tells: containers as they end, and whether one was ever started."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from docker import APIClient
from docker.types import CancellableStream
from requests import RequestException

from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors.base import EndStream
from container_manager.executors.docker.client import Engine, stream
from container_manager.executors.docker.errors import is_timeout
from container_manager.specs import LABEL_INSTALLATION, Handle

QUIET_SECONDS: Final = 60.0
"""Silence after which the stream is opened anew: a connection may be dead without either side noticing."""


REMOVED: Final = ("destroy", "remove")
"""What Docker and Podman call the removal of a container, the last that is heard of it."""


def was_started(engine: Engine, identifier: str, created: str) -> bool:
    """
    Whether the engine tells of a start of the container, which was removed just now; ``created`` by its own clock.

    ``ExecutorUnavailableError`` when it tells of no removal either: it has forgotten what came before.
    """
    since = datetime.fromisoformat(created).timestamp()
    question = {"since": f"{since:.6f}", "filters": json.dumps({"container": [identifier]})}
    with (
        engine.calling("tell what became of a container") as client,
        stream(client, "GET", "/events", question) as response,
    ):
        for line in response.iter_lines(chunk_size=1):
            action = json.loads(line)["Action"] if line else ""
            if action == "start" or action in REMOVED:
                return bool(action == "start")
    raise ExecutorUnavailableError(f"{engine.dialect.name} does not tell what became of a container.")


class DockerEnds(EndStream):
    """The ends of one installation's executions. What ends while the stream is opened anew is not told."""

    def __init__(self, engine: Engine, installation: str) -> None:
        self._engine, self._closing = engine, threading.Event()
        self._label = f"{LABEL_INSTALLATION}={installation}"
        self._open: CancellableStream[bytes] | None = None

    def __iter__(self) -> Iterator[Handle]:
        with self._engine.calling("tell what ends") as client:
            while not self._closing.is_set():
                try:
                    yield from self._follow(client)
                except RequestException as error:
                    if self._closing.is_set():
                        return
                    if not is_timeout(error):
                        raise

    def _follow(self, client: APIClient) -> Iterator[Handle]:
        events = list(self._engine.dialect.end_events)
        filters = json.dumps({"type": ["container"], "event": events, "label": [self._label]})
        with stream(client, "GET", "/events", {"filters": filters}, read_timeout=QUIET_SECONDS) as response:
            lines: Iterator[bytes] = response.iter_lines(chunk_size=1)
            self._open = CancellableStream(lines, response)
            if self._closing.is_set():
                return
            for line in lines:
                if line:
                    actor = json.loads(line)["Actor"]
                    yield Handle(actor["Attributes"]["name"], actor["ID"])

    def close(self) -> None:
        self._closing.set()
        if self._open is not None:
            self._open.close()
