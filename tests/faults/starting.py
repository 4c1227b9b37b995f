"""Workers that run until they are told otherwise, or get a signal at a point of the protocol."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from tests.faults.conftest import FAST
from tests.processes import spawn

OPTIONS = ("--poll-interval", "0.1", "--concurrency", "8")


def start_worker(point: str = "never", count: int = 1, how: str = "KILL", *options: str) -> subprocess.Popen[str]:
    """A worker that gets the signal ``how`` at ``point``. ``FAULTS_LOGS`` names a folder for what they say."""
    folder = os.environ.get("FAULTS_LOGS")
    with open(f"{folder}/worker-{time.time()}" if folder else os.devnull, "w") as output:
        arguments = ("-m", "tests.faults.worker", point, str(count), how, *OPTIONS, *options)
        return spawn(*arguments, environment=FAST, stdout=output)


def start_worker_with(
    settings: Mapping[str, Any], *options: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """A worker whose ``CONTAINER_MANAGER`` is the fast one with ``settings`` over it."""
    folder = os.environ.get("FAULTS_LOGS")
    chosen = {**json.loads(FAST["TEST_CONTAINER_MANAGER"]), **settings}
    with open(f"{folder}/worker-{time.time()}" if folder else os.devnull, "w") as output:
        return spawn(
            "-m", "tests.faults.worker", "never", "1", "KILL", "--poll-interval", "0.1", *options,
            environment={"TEST_CONTAINER_MANAGER": json.dumps(chosen), **(environment or {})}, stdout=output,
        )  # fmt: skip
