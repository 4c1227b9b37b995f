"""The way to one cluster: every call that is made to it, with a bounded wait for each answer."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kubernetes import client, config
from urllib3 import HTTPResponse, Retry

from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors.kubernetes.errors import LIBRARY_ERRORS, cluster_error
from container_manager.executors.kubernetes.manifest import CONTAINER
from container_manager.executors.kubernetes.options import KubernetesOptions
from container_manager.executors.kubernetes.phases import Patch

CONNECT_SECONDS: Final = 5
CONNECTIONS: Final = 32
PAGE: Final = 500
IN_CLUSTER: Final = "KUBERNETES_SERVICE_HOST"
OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Interfaces:
    """
    The library's generated calls, over one pool of connections that threads may share.

    Their types speak of models; they are given and asked for plain JSON.
    """

    pool: client.ApiClient
    batch: Any
    core: Any
    authorization: Any
    version: Any
    namespace: str


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and the version of the whole."""

    items: list[Object]
    version: str


class Cluster:
    """
    The cluster and namespace that a host's options describe. Contacted on first use.

    Answers are read as plain JSON: the library's models cost ten times as much.
    """

    def __init__(self, options: KubernetesOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._interfaces: Interfaces | None = None
        self.requests = 0
        """How many were made, for whoever counts."""

    @property
    def namespace(self) -> str:
        return self._open().namespace

    def create_job(self, manifest: Object) -> Object:
        return self._ask(
            "create a Job", lambda api, raw: api.batch.create_namespaced_job(api.namespace, manifest, **raw)
        )

    def read_job(self, name: str) -> Object:
        return self._ask(f"read {name}", lambda api, raw: api.batch.read_namespaced_job(name, api.namespace, **raw))

    def patch_job(self, name: str, patch: Patch) -> Object:
        """``ChangedError`` when a test of ``patch`` fails; nothing was changed then."""
        return self._ask(
            f"change {name}", lambda api, raw: api.batch.patch_namespaced_job(name, api.namespace, patch, **raw)
        )

    def delete_job(self, name: str, preconditions: Mapping[str, str]) -> None:
        """Its pods go in the background. ``ChangedError`` unless ``preconditions`` (uid, resourceVersion) hold."""
        body = {"propagationPolicy": "Background", "preconditions": dict(preconditions)}
        self._ask(
            f"delete {name}", lambda api, raw: api.batch.delete_namespaced_job(name, api.namespace, body=body, **raw)
        )

    def delete_pod(self, name: str, uid: str, grace_seconds: float) -> None:
        # Zero would strike it from the list at once, whatever still runs.
        body = {"gracePeriodSeconds": max(1, math.ceil(grace_seconds)), "preconditions": {"uid": uid}}
        self._ask(f"end {name}", lambda api, raw: api.core.delete_namespaced_pod(name, api.namespace, body=body, **raw))

    def jobs(self, selector: str) -> Iterator[Page]:
        return self._pages(
            "list its Jobs",
            lambda api, raw: api.batch.list_namespaced_job(api.namespace, label_selector=selector, **raw),
        )

    def pods(self, selector: str) -> Iterator[Page]:
        return self._pages(
            "list its pods",
            lambda api, raw: api.core.list_namespaced_pod(api.namespace, label_selector=selector, **raw),
        )

    def watch_jobs(self, selector: str, version: str, seconds: int) -> HTTPResponse:
        return self._watch("watch its Jobs", lambda api: api.batch.list_namespaced_job, selector, version, seconds)

    def watch_pods(self, selector: str, version: str, seconds: int) -> HTTPResponse:
        return self._watch("watch its pods", lambda api: api.core.list_namespaced_pod, selector, version, seconds)

    def open_log(self, pod: str, **part: int | None) -> HTTPResponse:
        """Its output, a stream of stamped lines that the caller closes. ``part``: since_seconds, tail_lines, follow."""
        given = {name: value for name, value in part.items() if value is not None}
        return self._open_stream(
            f"read the output of {pod}",
            lambda api, raw: api.core.read_namespaced_pod_log(
                pod, api.namespace, container=CONTAINER, timestamps=True, **given, **raw
            ),
            seconds=self._options.timeout,
        )

    def namespace_uid(self, name: str) -> str:
        found = self._ask(f"read the namespace {name}", lambda api, raw: api.core.read_namespace(name, **raw))
        uid: str = found["metadata"]["uid"]
        return uid

    def version(self) -> tuple[str, tuple[int, int]]:
        """In full, and as numbers."""
        found = self._ask("tell its version", lambda api, raw: api.version.get_code(**raw))
        major, minor = (int(re.sub(r"\D.*", "", found[key]) or 0) for key in ("major", "minor"))
        return found["gitVersion"], (major, minor)

    def may(self, verb: str, group: str, resource: str, subresource: str) -> bool:
        """Does the cluster allow it to us, in this namespace?"""
        attributes = {"namespace": self.namespace, "verb": verb, "group": group, "resource": resource}
        review = {"spec": {"resourceAttributes": attributes | ({"subresource": subresource} if subresource else {})}}
        found = self._ask(
            "tell our rights",
            lambda api, raw: api.authorization.create_self_subject_access_review(review, **raw),
        )
        return bool(found["status"]["allowed"])

    def close(self) -> None:
        """Connections are closed; a later call opens new ones."""
        with self._lock:
            interfaces, self._interfaces = self._interfaces, None
        if interfaces is not None:
            interfaces.pool.close()
            interfaces.pool.rest_client.pool_manager.clear()

    def _pages(self, doing: str, call: Callable[[Interfaces, Any], Any]) -> Iterator[Page]:
        token = ""
        while True:
            more = {"_continue": token} if token else {}
            found = self._ask(doing, lambda api, raw, more=more: call(api, {**raw, "limit": PAGE, **more}))  # type: ignore[misc]
            yield Page(found.get("items") or [], found["metadata"]["resourceVersion"])
            token = found["metadata"].get("continue") or ""
            if not token:
                return

    def _watch(
        self, doing: str, call: Callable[[Interfaces], Any], selector: str, version: str, seconds: int
    ) -> HTTPResponse:
        return self._open_stream(
            doing,
            lambda api, raw: call(api)(
                api.namespace, label_selector=selector, resource_version=version, watch=True,
                allow_watch_bookmarks=True, timeout_seconds=seconds, **raw,
            ),
            seconds=seconds + self._options.timeout,
        )  # fmt: skip

    def _ask(self, doing: str, call: Callable[[Interfaces, Any], HTTPResponse]) -> Object:
        try:
            response = self._call(call, self._options.timeout)
            found: Object = json.loads(response.data)
        except LIBRARY_ERRORS as error:
            raise cluster_error(error, doing, self._address()) from error
        return found

    def _open_stream(
        self, doing: str, call: Callable[[Interfaces, Any], HTTPResponse], *, seconds: float
    ) -> HTTPResponse:
        """``seconds``: between two pieces of the answer."""
        try:
            return self._call(call, seconds)
        except LIBRARY_ERRORS as error:
            raise cluster_error(error, doing, self._address()) from error

    def _call(self, call: Callable[[Interfaces, Any], HTTPResponse], seconds: float) -> HTTPResponse:
        self.requests += 1
        return call(self._open(), {"_preload_content": False, "_request_timeout": (CONNECT_SECONDS, seconds)})

    def _address(self) -> str:
        interfaces = self._interfaces
        return interfaces.pool.configuration.host if interfaces else self._options.kubeconfig or "(no address)"

    def _open(self) -> Interfaces:
        with self._lock:
            if self._interfaces is None:
                try:
                    self._interfaces = self._connect()
                except LIBRARY_ERRORS as error:
                    raise cluster_error(error, "find the cluster", self._options.kubeconfig) from error
            return self._interfaces

    def _connect(self) -> Interfaces:
        settings = client.Configuration()
        if not self._options.kubeconfig and not self._options.context and os.environ.get(IN_CLUSTER):
            config.load_incluster_config(settings)
            own = OWN_NAMESPACE.read_text().strip()
        else:
            path, context = self._options.kubeconfig or None, self._options.context or None
            config.load_kube_config(path, context, settings, persist_config=False)
            own = _namespace_of(path, context)
        settings.connection_pool_maxsize = CONNECTIONS
        # One more try where a connection that was kept had been closed. Whether to try again is the queue's decision.
        settings.retries = Retry(1, redirect=False)
        pool = client.ApiClient(settings)
        return Interfaces(
            pool=pool, batch=client.BatchV1Api(pool), core=client.CoreV1Api(pool),
            authorization=client.AuthorizationV1Api(pool), version=client.VersionApi(pool),
            namespace=self._options.namespace or own or "default",
        )  # fmt: skip


def _namespace_of(path: str | None, context: str | None) -> str:
    contexts, active = config.list_kube_config_contexts(path)
    chosen = next((one for one in contexts if one["name"] == context), None) if context else active
    return str((chosen or {}).get("context", {}).get("namespace") or "")


def lines(response: HTTPResponse) -> Iterator[Object]:
    """The JSON lines of a watch, until the cluster ends it; closes it. ``ExecutorUnavailableError`` when it breaks."""
    rest = b""
    try:
        for piece in response.stream(1 << 16):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                if line:
                    yield json.loads(line)
    except LIBRARY_ERRORS as error:
        raise ExecutorUnavailableError(f"The watch broke: {error}") from error
    finally:
        response.close()
        response.release_conn()


def shut(response: HTTPResponse) -> None:
    """Nothing more comes: whoever reads it, in another thread, is told that it ended."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # it ends by itself at this moment
        response.shutdown()
