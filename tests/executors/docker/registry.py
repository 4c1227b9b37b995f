"""A registry on loopback that speaks as much of the distribution protocol as a pull takes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


class Registry(ThreadingHTTPServer):
    """
    Serves one image of one layer under every name and tag.

    ``manifest_status`` other than 200 answers requests for the manifest with an error of the code
    ``manifest_error``. While ``gate`` is not set, answers to manifest requests wait for it.
    """

    daemon_threads = True

    def __init__(self, mark: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        layer = tar_of("mark", mark.encode())
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/mark"], "Labels": {"mark": mark}},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
            }
        ).encode()
        packed = gzip.compress(layer)
        self.blobs = {digest_of(config): config, digest_of(packed): packed}
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _descriptor("application/vnd.docker.container.image.v1+json", config),
                "layers": [_descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", packed)],
            }
        ).encode()
        self.manifest_status = 200
        self.manifest_error = ""
        self.credentials: str | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.requests: Counter[str] = Counter()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "size": len(data), "digest": digest_of(data)}


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        registry = self.server
        if registry.credentials and self.headers.get("Authorization") != registry.credentials:
            self._answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', **{"WWW-Authenticate": 'Basic realm="test"'})
        elif "/manifests/" in self.path:
            registry.requests["manifest"] += 1
            registry.gate.wait(30)
            if registry.manifest_status == 200:
                headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": digest_of(registry.manifest)}
                self._answer(200, registry.manifest, **headers)
            else:
                error = {"errors": [{"code": registry.manifest_error, "message": "refused by the test"}]}
                self._answer(registry.manifest_status, json.dumps(error).encode())
        elif "/blobs/" in self.path:
            registry.requests["blob"] += 1
            self._answer(200, registry.blobs[self.path.rsplit("/", 1)[1]])
        else:
            self._answer(200, b"{}")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except ConnectionError:
            # The engine gave the pull up.
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def registry_with(mark: str) -> Iterator[Registry]:
    """A registry that is served until the end of the block."""
    with Registry(mark) as registry:
        thread = threading.Thread(target=registry.serve_forever)
        thread.start()
        try:
            yield registry
        finally:
            registry.gate.set()
            registry.shutdown()
            thread.join()
