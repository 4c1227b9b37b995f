"""Running real pods in tests: the cluster, specifications, waiting, and leaving nothing behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from container_manager.exceptions import ExecutionRunningError
from container_manager.executors.kubernetes import KubernetesExecutor
from container_manager.specs import ExecutionState, Handle, JobSpec, Observation

IMAGE = "busybox:local"
BUSYBOX = {"run_as_non_root": False}
"""The image's own user is root."""


def host_options(**more: Any) -> dict[str, Any]:
    return {"kubeconfig": os.environ.get("KUBECONFIG", ""), **BUSYBOX, **more}


@contextmanager
def kubernetes_executor(options: Mapping[str, Any] | None = None) -> Iterator[KubernetesExecutor]:
    """An executor of an installation of its own; all its Jobs are gone afterwards."""
    executor = KubernetesExecutor(options or host_options(), installation=uuid4().hex[:8])
    try:
        yield executor
    finally:
        clear(executor)
        executor.close()


def clear(executor: KubernetesExecutor) -> None:
    """All Jobs of the executor's installation are deleted, and their pods told to end."""
    for seen in executor.observe():
        executor.stop(seen.handle, 0)
    for seen in executor.observe():
        wait_until(lambda seen=seen: is_removed(executor, seen.handle), what=f"the end of {seen.handle.name}")  # type: ignore[misc]


def is_removed(executor: KubernetesExecutor, handle: Handle) -> bool:
    try:
        executor.remove(handle)
    except ExecutionRunningError:
        return False
    return True


def spec(executor: KubernetesExecutor, **values: Any) -> JobSpec:
    defaults = {"job_id": uuid4(), "attempt": 1, "image": IMAGE, "command": ("true",)}
    return JobSpec(installation=executor.installation, **{**defaults, **values})


def shell(executor: KubernetesExecutor, script: str, **values: Any) -> JobSpec:
    return spec(executor, command=("sh", "-c", script), **values)


def launch(executor: KubernetesExecutor, wanted: JobSpec) -> Handle:
    handle = executor.create(wanted)
    executor.start(handle)
    return handle


def look(executor: KubernetesExecutor, handle: Handle) -> Observation:
    (seen,) = executor.observe([handle])
    return seen


def wait_for_end(executor: KubernetesExecutor, handle: Handle) -> Observation:
    wait_until(lambda: look(executor, handle).state is ExecutionState.EXITED, what=f"the end of {handle.name}")
    return look(executor, handle)


def wait_until(condition: Callable[[], object], *, seconds: float = 200.0, what: str = "the condition") -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds:g} s")
        time.sleep(0.1)


def output(executor: KubernetesExecutor, handle: Handle) -> bytes:
    """All output there is."""
    cursor, has_more, pieces = "", True, []
    while has_more:
        batch = executor.logs(handle, cursor)
        pieces += [entry.data for entry in batch.entries]
        cursor, has_more = batch.cursor, batch.has_more
    return b"".join(pieces)
