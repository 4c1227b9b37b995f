"""What the fault tests share: short timeouts, a process host, and a ledger that every start appends to."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from container_manager.executors import executor_class
from container_manager.executors.base import Executor
from container_manager.hosts import node_name
from container_manager.models import ContainerJob, ExecutorHost, Installation, JobAttempt
from container_manager.states import TERMINAL
from tests.processes import wait_until

FAST: Final = {
    "TEST_CONTAINER_MANAGER": json.dumps({
        "HEARTBEAT_INTERVAL": 0.3, "WORKER_TIMEOUT": 3.0, "ORPHAN_GRACE_SECONDS": 2.0,
        "MISSING_GRACE_SECONDS": 3.0, "STOP_GRACE_SECONDS": 1.0, "POLL_INTERVAL": 0.2, "MAX_RESCUES": 1000,
    })
}  # fmt: skip
"""Environment of the workers: everything that takes a minute takes seconds."""


def full_run(name: str, short: int) -> int:
    """The size of a run: ``make faults`` sets ``FAULTS_<name>``, everything else takes the short one."""
    return int(os.environ.get(f"FAULTS_{name}", short))


@dataclass(frozen=True)
class Bench:
    """A process host and the ledger of its jobs."""

    host: ExecutorHost
    ledger: Path

    def command(self, *, seconds: float = 0.0, exit_code: int = 0) -> list[str]:
        """A program that writes its start down, works for ``seconds`` and exits."""
        script = f'echo "$CM_JOB_ID $CM_ATTEMPT" >> {self.ledger}; echo began; sleep {seconds}; exit {exit_code}'
        return ["sh", "-c", script]

    def starts(self) -> Counter[tuple[str, int]]:
        """How often each attempt began."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return Counter((line.split()[0], int(line.split()[1])) for line in lines)

    @property
    def executor(self) -> Executor:
        installation = Installation.current("default").identifier
        return executor_class(self.host.executor_type)(self.host.options, installation=installation)

    def wait_until_all_finished(self, seconds: float = 120.0) -> None:
        unfinished = ContainerJob.objects.exclude(status__in=TERMINAL)
        wait_until(lambda: not unfinished.exists(), seconds=seconds, what="every job's terminal state")

    def assert_never_twice(self) -> None:
        """No attempt began twice; no attempt is open; nothing is left in the engine."""
        assert [attempt for attempt, count in self.starts().items() if count > 1] == []
        assert not JobAttempt.objects.filter(active_job__isnull=False).exists()
        wait_until(lambda: self.executor.observe() == [], seconds=30, what="an empty engine")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    host = ExecutorHost.objects.create(
        name="here", executor_type="process", node=node_name(), max_concurrent_jobs=50,
        options={"state_directory": str(tmp_path / "state")},
    )  # fmt: skip
    return Bench(host, tmp_path / "ledger")
