"""A cluster's own account of what it started."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from urllib3 import HTTPResponse

from container_manager.exceptions import ExecutorUnavailableError
from container_manager.executors.kubernetes.client import Cluster, lines
from container_manager.executors.kubernetes.facts import pod_facts
from container_manager.executors.kubernetes.options import KubernetesOptions
from container_manager.specs import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB

WATCH_SECONDS = 5


class PodStarts:
    """Records every pod of ours whose container has begun, from a watch opened before the first."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._cluster = Cluster(KubernetesOptions.parse(options))
        self._began: dict[str, str] = {}
        self._closing = threading.Event()
        self._response: HTTPResponse | None = None
        self._thread = threading.Thread(target=self._watch, name="pod-starts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._response is not None:
            with suppress(OSError, ValueError, RuntimeError):  # it ends by itself at this moment
                self._response.shutdown()
        self._thread.join(timeout=4 * WATCH_SECONDS)
        self._cluster.close()

    def starts(self, installation: str) -> Counter[str]:
        """How often each execution of ``installation`` began, by its name."""
        return Counter(name for name in list(self._began.values()) if name.startswith(f"cm-{installation}-"))

    def _watch(self) -> None:
        version = ""
        while not self._closing.is_set():
            try:
                self._response = self._cluster.watch_pods(LABEL_INSTALLATION, version, WATCH_SECONDS)
                for event in lines(self._response):
                    version = event["object"]["metadata"].get("resourceVersion", "")
                    if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                        self._note(event["object"])
            except ExecutorUnavailableError:
                version = ""

    def _note(self, found: dict[str, Any]) -> None:
        pod, labels = pod_facts(found), found["metadata"]["labels"]
        if pod is not None and pod.started_at is not None:
            job = labels[LABEL_JOB].replace("-", "")
            self._began[pod.uid] = f"cm-{labels[LABEL_INSTALLATION]}-{job}-{labels[LABEL_ATTEMPT]}"
