"""A proxy before an engine's socket that delays, drops, loses, cuts and forges answers, by rule."""

from __future__ import annotations

import json
import random
import re
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

HEAD_END: Final = b"\r\n\r\n"
REASONS: Final = {304: "Not Modified", 404: "Not Found", 409: "Conflict", 500: "Internal Server Error"}


@dataclass(slots=True)
class Rule:
    """
    What happens to requests whose ``METHOD /path`` matches ``pattern``; the first rule that matches counts.

    ``how``: ``drop`` = the connection ends and the engine hears nothing; ``lose`` = the engine does it
    and its answer never comes; ``hang`` = neither; ``delay`` = the engine hears of it ``seconds`` later;
    ``cut`` = the answer ends in its middle; ``answer`` = ``status`` instead of asking the engine;
    ``replace`` = ``status`` instead of the engine's answer, which did it. ``times``: how often; ``chance``: of each.
    """

    pattern: str
    how: str
    times: int = 1_000_000
    seconds: float = 0.0
    status: int = 500
    message: str = "a fault of the test"
    chance: float = 1.0


class EngineProxy:
    """
    Listens on ``folder``'s ``engine.sock`` for the engine at ``socket_path``. One request per connection.

    ``hits`` counts by pattern how often each rule has struck.
    """

    def __init__(self, folder: Path, socket_path: str, *, seed: int = 1) -> None:
        self.path, self.engine = str(folder / "engine.sock"), socket_path
        self.hits: Counter[str] = Counter()
        self._rules: list[Rule] = []
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server: _Server | None = None
        self._calm = threading.Event()

    @property
    def address(self) -> str:
        return f"unix://{self.path}"

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_away()

    def break_with(self, *rules: Rule) -> None:
        """From now on ``rules`` hold instead of those before."""
        with self._lock:
            self._rules = list(rules)
            self._calm = threading.Event()

    def calm(self) -> None:
        """No rule holds, and requests that hang end without an answer."""
        with self._lock:
            self._rules = []
            self._calm.set()

    @contextmanager
    def broken(self, rules: Sequence[Rule]) -> Iterator[None]:
        self.break_with(*rules)
        try:
            yield
        finally:
            self.calm()

    def go_away(self) -> None:
        """Nothing listens any more, and every connection has ended."""
        self.calm()
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        Path(self.path).unlink(missing_ok=True)
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def come_back(self, socket_path: str = "") -> None:
        """It listens, for the engine at ``socket_path`` where that is given."""
        self.engine = socket_path or self.engine
        self._server = _Server(self.path, self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        """One request of ``client``, as the rules say."""
        with self._held(client):
            head, rest = _read_head(client)
            if not head:
                return
            line = head.split(b"\r\n", 1)[0].decode()
            method, path, _ = line.split(" ")
            rule, calm = self._strike(f"{method} {re.sub(r'^/v[0-9.]+', '', path)}")
            if rule is not None and self._ends_before(rule, calm, client, head, rest):
                return
            with socket.socket(socket.AF_UNIX) as engine, self._held(engine):
                try:
                    engine.connect(self.engine)
                except OSError:
                    return
                engine.sendall(_one_shot(head) + rest + _read_body(client, head, rest))
                self._answer(rule, calm, client, engine)

    def _ends_before(self, rule: Rule, calm: threading.Event, client: socket.socket, head: bytes, rest: bytes) -> bool:
        """Whether the engine hears nothing of it; or it does after the delay."""
        if rule.how == "hang":
            calm.wait()
        elif rule.how == "answer":
            _read_body(client, head, rest)
            client.sendall(_forged(rule))
        elif rule.how == "delay":
            calm.wait(rule.seconds)
        return rule.how in ("drop", "hang", "answer")

    def _answer(self, rule: Rule | None, calm: threading.Event, client: socket.socket, engine: socket.socket) -> None:
        if rule is None or rule.how == "delay":
            while data := engine.recv(65_536):
                client.sendall(data)
            return
        answer = bytearray()
        while data := engine.recv(65_536):
            answer += data
        if rule.how == "replace":
            client.sendall(_forged(rule))
        elif rule.how == "cut":
            client.sendall(answer[: max(len(answer) - 3, answer.find(HEAD_END) + len(HEAD_END))])
        else:
            calm.wait()

    def _strike(self, request: str) -> tuple[Rule | None, threading.Event]:
        with self._lock:
            for rule in self._rules:
                is_hit = rule.times > 0 and re.match(rule.pattern, request)
                if is_hit and self._chance.random() < rule.chance:
                    rule.times -= 1
                    self.hits[rule.pattern] += 1
                    return rule, self._calm
            return None, self._calm

    @contextmanager
    def _held(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: str, proxy: EngineProxy) -> None:
        self.proxy = proxy
        super().__init__(path, _Handler)


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError):
            self.server.proxy.serve(self.request)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while HEAD_END not in received:
        data = client.recv(65_536)
        if not data:
            return b"", b""
        received += data
    head, _, rest = received.partition(HEAD_END)
    return head, rest


def _read_body(client: socket.socket, head: bytes, rest: bytes) -> bytes:
    """What is still to come of the request's body after ``rest``."""
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    missing = int(length[1]) - len(rest) if length else 0
    body = b""
    while len(body) < missing and (data := client.recv(65_536)):
        body += data
    return body


def _one_shot(head: bytes) -> bytes:
    first, *fields = head.split(b"\r\n")
    kept = [field for field in fields if not field.lower().startswith(b"connection:")]
    return b"\r\n".join([first, *kept, b"Connection: close"]) + HEAD_END


def _forged(rule: Rule) -> bytes:
    body = b"" if rule.status == 304 else json.dumps({"message": rule.message}).encode()
    return (
        f"HTTP/1.1 {rule.status} {REASONS[rule.status]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
