"""The floor of a Docker job: the SDK's own calls, on so many threads, each with a client."""

from __future__ import annotations

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version as version_of
from typing import Any

from docker import APIClient

from bench.child import StartLine
from bench.timing import timed

ADDRESS = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
IMAGE, COMMAND = os.environ.get("BENCH_IMAGE", "busybox:local"), ["true"]
LABEL = "container-manager-bench"
_numbers = itertools.count()
_own = threading.local()


def version() -> str:
    return version_of("docker")


def client() -> APIClient:
    if not hasattr(_own, "client"):
        _own.client = APIClient(base_url=ADDRESS)
    return _own.client


def run_one(_: int) -> None:
    """What no worker can leave out that keeps the exit code, the times and the output of a job."""
    engine = client()
    name = f"{LABEL}-{os.getpid()}-{next(_numbers)}"
    container = engine.create_container(IMAGE, COMMAND, name=name, labels={LABEL: "1"})["Id"]
    engine.start(container)
    engine.wait(container)
    engine.inspect_container(container)
    engine.logs(container, timestamps=True)
    engine.remove_container(container)


def drain(start_line: StartLine, count: int, concurrency: int) -> dict[str, Any]:
    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(run_one, range(concurrency)))  # every thread has its connection
        return timed(start_line, count, lambda: list(pool.map(run_one, range(count))))


def forget(_: StartLine) -> dict[str, int]:
    """What a broken round left on the engine is gone."""
    return {"removed": remove_all(label=LABEL)}


def remove_all(**filters: str) -> int:
    found = client().containers(all=True, filters=filters)
    for container in found:
        client().remove_container(container["Id"], force=True)
    return len(found)
