"""The way to one engine: the SDK's client, one per thread, with a bounded wait for every answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

from docker import APIClient
from docker.errors import create_api_error_from_http_exception
from docker.tls import TLSConfig
from docker.transport import UnixHTTPAdapter
from requests import HTTPError, Response

from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors.docker.dialects import DOCKER, Dialect, dialect_of
from container_manager.executors.docker.errors import LIBRARY_ERRORS, executor_error
from container_manager.executors.docker.options import DockerOptions

MINIMUM_API_VERSION: Final = "1.41"
"""Docker 20.10's."""


SOCKET_URL: Final = "http+docker://localhost"
"""What the SDK calls an engine behind a socket of this machine."""


class SocketAdapter(UnixHTTPAdapter):
    """One pool for all paths. The SDK's own keeps one for each of 25 paths: hundreds of connections in the end."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
        return super().get_connection("", proxies)


class Engine:
    """
    The engine that a host's options describe. Contacted on first use.

    The SDK's client is a ``requests`` session, which threads must not share.
    """

    def __init__(self, options: DockerOptions, dialect: Dialect = DOCKER) -> None:
        """``dialect``: the likely one, until the engine has said which it is."""
        self.dialect = dialect
        self.address = options.base_url
        self.timeout = options.timeout
        self._tls = options.tls
        self._api_version: str | None = None
        self._local = threading.local()
        self._clients: WeakSet[APIClient] = WeakSet()
        self._lock = threading.Lock()

    def identified(self) -> Dialect:
        """The engine's dialect, from its own mouth. ``ExecutorUnavailableError`` when it does not answer."""
        if self._api_version is None:
            with self.calling("tell its version"):
                pass
        return self.dialect

    @contextmanager
    def calling(self, doing: str) -> Iterator[APIClient]:
        """This thread's client. What the library raises in the block comes out as an ``ExecutorError``."""
        try:
            yield self._client()
        except LIBRARY_ERRORS as error:
            mapped = executor_error(error, doing, self.address, self.dialect, is_tls=self._tls is not None)
            if isinstance(mapped, ExecutorUnavailableError):
                self._forget()
            raise mapped from error

    def close(self) -> None:
        """Every thread's connections are closed; a later call opens new ones."""
        with self._lock:
            for client in self._clients:
                client.close()

    def _client(self) -> APIClient:
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._new_client(self._api_version or self._negotiate())
            self._local.client = client
            with self._lock:
                self._clients.add(client)
        return client

    def _negotiate(self) -> str:
        # The SDK would do so in each client's constructor, and leave a connection open when that fails.
        with self._new_client(MINIMUM_API_VERSION) as client:
            answer = client.version(api_version=False)
        version: str = answer["ApiVersion"]
        self.dialect = dialect_of(answer)
        self._api_version = version
        return version

    def _new_client(self, version: str) -> APIClient:
        client = APIClient(self.address, version, self.timeout, tls=self._tls_config())
        if client.base_url == SOCKET_URL:
            client.mount(SOCKET_URL, SocketAdapter(self.address.removeprefix("unix://"), self.timeout))
        # A proxy or a .netrc of this process's environment is not meant for the engine.
        client.trust_env = False
        return client

    def _forget(self) -> None:
        # The engine that answers next may be another one, of another version.
        self._api_version = None
        client: APIClient | None = getattr(self._local, "client", None)
        if client is not None:
            client.close()
            self._local.client = None

    def _tls_config(self) -> TLSConfig | bool:
        if self._tls is None:
            return False
        certificate = self._tls.get("client_cert")
        pair = (certificate, self._tls["client_key"]) if certificate else None
        return TLSConfig(client_cert=pair, ca_cert=self._tls.get("ca_cert"), verify=self._tls.get("verify", True))


def stream(
    client: APIClient,
    method: str,
    path: str,
    params: Mapping[str, Any],
    *,
    read_timeout: float | None = None,
    headers: Mapping[str, str | bytes] | None = None,
) -> Response:
    """
    The answer to a call whose body is read piece by piece, which the SDK's own methods do without a limit.

    ``read_timeout``: seconds between two pieces. Raises the SDK's ``APIError``. The caller closes it.
    """
    response = client.request(
        method,
        f"{client.base_url}/v{client.api_version}{path}",
        params=params,
        headers=headers,
        timeout=(client.timeout, read_timeout or client.timeout),
        stream=True,
    )
    try:
        response.raise_for_status()
    except HTTPError as error:
        with response:
            create_api_error_from_http_exception(error)
    return response
