"""A proxy before a cluster's API server: it passes bytes on, falls silent, cuts connections, and goes away."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import yaml

PIECE: Final = 65_536


class ClusterProxy:
    """
    Listens on a port of this machine for the cluster of the file ``kubeconfig``; TLS goes through it untouched.

    ``path``: a copy of that file, written into ``folder``, that leads here. ``accepted``: how many connections
    there have been.
    """

    def __init__(self, folder: Path, kubeconfig: str) -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text())
        [cluster] = config["clusters"]
        address = urlsplit(cluster["cluster"]["server"])
        assert address.hostname
        self.cluster = (address.hostname, address.port or 443)
        self.accepted = 0
        self.port = 0
        self._server: _Server | None = None
        self._flows = threading.Event()
        self._flows.set()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.come_back()
        cluster["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        self.path = str(folder / "kubeconfig-of-the-proxy")
        Path(self.path).touch(mode=0o600)
        Path(self.path).write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_away()

    def hang(self) -> None:
        """Connections stay and new ones are taken, but not a byte gets through."""
        self._flows.clear()

    def calm(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Every connection has ended; new ones are served."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def go_away(self) -> None:
        """Nothing listens any more, and every connection has ended."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        self.cut()
        self.calm()

    def come_back(self) -> None:
        """It listens, on the same port as before."""
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        self.accepted += 1
        with socket.create_connection(self.cluster, timeout=10) as server:
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            back = threading.Thread(target=self._pass, args=(server, client), daemon=True)
            back.start()
            self._pass(client, server)
            back.join()
            with self._lock:
                self._open -= {client, server}

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(PIECE):
                self._flows.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], proxy: ClusterProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with suppress(OSError):
            self.server.proxy.serve(self.request)
