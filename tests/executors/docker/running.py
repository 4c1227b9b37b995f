"""Running real containers in tests: specifications, waiting, reading, and leaving nothing behind."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from docker import APIClient

from container_manager.executors.docker import DockerExecutor
from container_manager.specs import ExecutionState, Handle, JobSpec, Observation

ADDRESS = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
IMAGE = "busybox:local"


def collect_sockets() -> None:
    """Sockets that the SDK left open, since it could not connect them, warn now and not in another test."""
    gc.collect()


@contextmanager
def docker_executor(options: Mapping[str, Any] | None = None, installation: str = "") -> Iterator[DockerExecutor]:
    """An executor of an installation of its own; all its containers are gone afterwards."""
    executor = DockerExecutor({"base_url": ADDRESS, **(options or {})}, installation=installation or uuid4().hex[:8])
    try:
        yield executor
    finally:
        for seen in executor.observe():
            executor.stop(seen.handle, 0)
            executor.remove(seen.handle)
        executor.close()


def shell(executor: DockerExecutor, script: str, **values: Any) -> JobSpec:
    return spec(executor, command=("sh", "-c", script), **values)


def spec(executor: DockerExecutor, **values: Any) -> JobSpec:
    defaults = {"job_id": uuid4(), "attempt": 1, "image": IMAGE, "command": ("true",), "network": "none"}
    return JobSpec(installation=executor.installation, **{**defaults, **values})


def run(executor: DockerExecutor, wanted: JobSpec) -> Observation:
    """Creates, starts and waits for the end."""
    handle = executor.create(wanted)
    executor.start(handle)
    return wait_for_end(executor, handle)


def wait_for_end(executor: DockerExecutor, handle: Handle, seconds: float = 60) -> Observation:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        (seen,) = executor.observe([handle])
        if seen.state is ExecutionState.EXITED:
            return seen
        time.sleep(0.02)
    raise AssertionError(f"{handle.name} has not ended within {seconds} s")


def inspect(handle: Handle) -> dict[str, Any]:
    with APIClient(ADDRESS, timeout=20) as client:
        found: dict[str, Any] = client.inspect_container(handle.name)
    return found


def output(executor: DockerExecutor, handle: Handle, limit_bytes: int = 1 << 20) -> dict[str, bytes]:
    """All output of an ended execution by stream, read in batches of about ``limit_bytes``."""
    cursor, has_more = "", True
    streams = {"stdout": bytearray(), "stderr": bytearray()}
    while has_more:
        batch = executor.logs(handle, cursor, limit_bytes=limit_bytes)
        for entry in batch.entries:
            streams[entry.stream] += entry.data
        cursor, has_more = batch.cursor, batch.has_more
    return {name: bytes(data) for name, data in streams.items()}
