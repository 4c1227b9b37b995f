"""What the fault tests share: short timeouts, a host of each engine, and a ledger of every start."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from container_manager.executors import executor_class
from container_manager.executors.base import Executor
from container_manager.hosts import node_name
from container_manager.models import ContainerJob, ExecutorHost, Installation, JobAttempt
from container_manager.states import TERMINAL
from tests.executors.docker.running import ADDRESS
from tests.executors.kubernetes.running import host_options
from tests.faults.engine_events import EngineEvents
from tests.faults.pod_starts import PodStarts
from tests.processes import wait_until
from tests.services import require_service

FAST: Final = {
    "TEST_CONTAINER_MANAGER": json.dumps({
        "HEARTBEAT_INTERVAL": 0.3, "WORKER_TIMEOUT": 3.0, "ORPHAN_GRACE_SECONDS": 2.0,
        "MISSING_GRACE_SECONDS": 3.0, "STOP_GRACE_SECONDS": 1.0, "POLL_INTERVAL": 0.2, "MAX_RESCUES": 1000,
    })
}  # fmt: skip
"""Environment of the workers: everything that takes a minute takes seconds."""
ENGINES: Final = os.environ.get("FAULTS_ENGINES", "process").split(",")
"""Which engines the suite runs on, of ``process``, ``docker``, ``podman`` and ``kubernetes``."""

WITH_A_SOCKET: Final = tuple(engine for engine in ENGINES if engine in ("docker", "podman"))
"""Those of them that a proxy can be put before which understands what it passes on."""

FLEET: Final = ("process", "docker", "podman", "kubernetes")


def full_run(name: str, short: int) -> int:
    """The size of a run: ``make faults`` sets ``FAULTS_<name>``, everything else takes the short one."""
    return int(os.environ.get(f"FAULTS_{name}", short))


def address_of(engine: str) -> str:
    """Where ``docker`` or ``podman`` answers, which it does; else the test is skipped, or fails with CI=true."""
    require_service(engine)
    return os.environ["PODMAN_HOST"] if engine == "podman" else ADDRESS


def socket_of(engine: str) -> str:
    """The path of the socket of ``docker`` or ``podman``; skips where it has none on this machine."""
    address = address_of(engine)
    if not address.startswith("unix://"):
        pytest.skip(f"{engine} has no local socket: no proxy can be put before it")
    return address.removeprefix("unix://")


class Bench:
    """A host, and what its engine has started."""

    host: ExecutorHost
    image = ""

    def job(self, *, seconds: float = 0.0, exit_code: int = 0, **fields: Any) -> ContainerJob:
        """A job, not saved, that says ``began``, works for ``seconds`` and exits."""
        script = f"{self.note}echo began; sleep {seconds}; exit {exit_code}"
        return ContainerJob(image=self.image, command=["sh", "-c", script], **fields)

    note = ""
    """What the job's script does first, to write its start down."""

    def starts(self) -> Counter[str]:
        """How often each execution began, by its name."""
        raise NotImplementedError

    def starts_of(self, job: ContainerJob) -> int:
        return sum(count for name, count in self.starts().items() if job.pk.hex in name)

    @cached_property
    def executor(self) -> Executor:
        """The host's engine; made once, since a cluster's opens watches."""
        installation = Installation.current("default").identifier
        return executor_class(self.host.executor_type)(self.host.options, installation=installation)

    def close(self) -> None:
        if "executor" in vars(self):
            self.executor.close()

    def wait_until_all_finished(self, seconds: float = 120.0) -> None:
        unfinished = ContainerJob.objects.exclude(status__in=TERMINAL)
        wait_until(lambda: not unfinished.exists(), seconds=seconds, what="every job's terminal state")

    def assert_never_twice(self) -> None:
        """No attempt began twice; no attempt is open; nothing is left in the engine."""
        assert [name for name, count in self.starts().items() if count > 1] == []
        self.assert_nothing_is_left()

    def assert_nothing_is_left(self) -> None:
        """No attempt is open, and none in the engine."""
        assert not JobAttempt.objects.filter(active_job__isnull=False).exists()
        wait_until(lambda: self.executor.observe() == [], seconds=60, what="an empty engine")


class ProcessBench(Bench):
    def __init__(self, folder: Path) -> None:
        self.host = ExecutorHost.objects.create(
            name="here", executor_type="process", node=node_name(), max_concurrent_jobs=50,
            options={"state_directory": str(folder / "state")},
        )  # fmt: skip
        self._ledger = folder / "ledger"
        self.note = f'echo "$CM_JOB_ID $CM_ATTEMPT" >> {self._ledger}; '

    def starts(self) -> Counter[str]:
        lines = self._ledger.read_text().splitlines() if self._ledger.exists() else []
        return Counter("{}-{}".format(*line.replace("-", "").split()) for line in lines)


class DockerBench(Bench):
    """Docker, or Podman on its socket."""

    image = "busybox:local"

    def __init__(self, events: EngineEvents, executor_type: str = "docker") -> None:
        self.host = ExecutorHost.objects.create(
            name=executor_type, executor_type=executor_type, max_concurrent_jobs=50,
            options={"base_url": events.address, "network": "none"},
        )  # fmt: skip
        self._events = events

    def starts(self) -> Counter[str]:
        return self._events.starts(Installation.current("default").identifier)


class KubernetesBench(Bench):
    image = "busybox:local"

    def __init__(self, pods: PodStarts) -> None:
        self.host = ExecutorHost.objects.create(
            name="cluster", executor_type="kubernetes", options=host_options(), max_concurrent_jobs=50
        )
        self._pods = pods

    def starts(self) -> Counter[str]:
        return self._pods.starts(Installation.current("default").identifier)


class Fleet(Bench):
    """A host of each engine in one installation. Its jobs can run on any of them."""

    image = "busybox:local"

    def __init__(self, *benches: Bench) -> None:
        self.benches = {bench.host.name: bench for bench in benches}
        # Only where there is such a folder: on the machine itself.
        note = "".join(bench.note for bench in benches)
        self.note = f"{{ {note} }} 2>/dev/null; "

    def starts(self) -> Counter[str]:
        return sum((bench.starts() for bench in self.benches.values()), Counter())

    def assert_nothing_is_left(self) -> None:
        for bench in self.benches.values():
            bench.assert_nothing_is_left()


@contextmanager
def bench_of(engine: str, folder: Path) -> Iterator[Bench]:
    """A bench on ``engine``; skips, or fails with CI=true, where that does not answer."""
    with ExitStack() as stack:
        bench: Bench
        if engine == "process":
            bench = ProcessBench(folder)
        elif engine == "kubernetes":
            require_service(engine)
            bench = KubernetesBench(stack.enter_context(PodStarts(host_options())))
        else:
            bench = DockerBench(stack.enter_context(EngineEvents(address_of(engine))), engine)
        stack.callback(bench.close)
        yield bench


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with bench_of(request.param, tmp_path) as one:
        yield one


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(*(stack.enter_context(bench_of(engine, tmp_path)) for engine in FLEET))
