"""Jobs on real container engines through a worker process: how they end, their output, and what they leave behind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from docker import APIClient

from container_manager import queue_manager
from container_manager.exceptions import JobFailedError, JobWaitTimeoutError
from container_manager.executors.docker import DockerExecutor
from container_manager.models import ContainerJob, ExecutorHost, Installation, JobLog
from container_manager.models.output import read_output
from container_manager.services.output import HEAD_CHUNKS, TAIL_CHUNKS
from container_manager.specs import execution_name
from container_manager.states import Outcome, Status, Verb
from tests.executors.docker.registry import registry_with
from tests.executors.docker.running import ADDRESS, IMAGE
from tests.processes import ending, spawn_worker, wait_until
from tests.worker.container_engines import DOCKER, EVERY_ENGINE, ContainerEngine

pytestmark = pytest.mark.django_db(transaction=True)

FLOOD_BYTES = 100_000_000


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[ContainerEngine]:
    """Each engine in turn, with a host for it."""
    with request.param.host():
        yield request.param


@pytest.fixture
def docker_host(transactional_db: None) -> Iterator[ExecutorHost]:
    with DOCKER.host() as host:
        yield host


def drain(*arguments: str, **settings: str) -> None:
    """``containers worker --drain`` has ended well."""
    worker = spawn_worker("--drain", "--poll-interval", "0.1", *arguments, environment=settings)
    with ending(worker):
        output, _ = worker.communicate(timeout=120)
        assert worker.returncode == 0, output


def queue(script: str, **fields: Any) -> ContainerJob:
    return queue_manager.create_and_queue(command=["sh", "-c", script], image=IMAGE, **fields)


def ended(job: ContainerJob) -> ContainerJob:
    job.refresh_from_db()
    return job


def test_twenty_jobs_complete_with_both_streams_kept_and_no_container_left(engine: ContainerEngine) -> None:
    jobs = [queue(f"echo out {number}; echo err {number} >&2") for number in range(20)]
    drain()
    for number, job in enumerate(map(ended, jobs)):
        assert (job.status, job.exit_code, job.outcome, job.attempt) == (Status.COMPLETED, 0, Outcome.OK, 1), job.error
        assert job.output(stream="stdout") == f"out {number}\n"
        assert job.output(stream="stderr") == f"err {number}\n"
    assert engine.containers() == []


def test_what_goes_wrong_is_told_apart(engine: ContainerEngine) -> None:
    never = {**engine.options, "pull_policy": "never"}
    ExecutorHost.objects.create(name="never", executor_type=engine.executor_type, options=never, queues=["never"])
    missing = queue_manager.create_and_queue(command="true", image="no-such-image:here", queue="never")
    stubborn = queue("trap '' TERM; while :; do sleep 1; done", timeout_seconds=1)
    brief = {**engine.options, "default_timeout_seconds": 1}
    ExecutorHost.objects.create(name="brief", executor_type=engine.executor_type, options=brief, queues=["brief"])
    overlong = queue("sleep 600", queue="brief")
    killed = queue("kill -9 $$; sleep 5")
    absent = queue_manager.create_and_queue(command="no-such-program", image=IMAGE)
    drain(TEST_CONTAINER_MANAGER='{"STOP_GRACE_SECONDS": 1}')

    assert (ended(missing).status, missing.attempt, missing.outcome) == (Status.FAILED, 1, Outcome.IMAGE_ERROR)
    assert missing.launched_at is None
    assert "no such image: " in missing.error.lower()
    assert "no-such-image:here" in missing.error
    assert (ended(stubborn).status, stubborn.outcome, stubborn.exit_code) == (Status.FAILED, Outcome.TIMEOUT, 137)
    assert (ended(overlong).status, overlong.outcome) == (Status.FAILED, Outcome.TIMEOUT)
    assert (ended(killed).status, killed.outcome, killed.exit_code) == (Status.FAILED, Outcome.APP_ERROR, 137)
    assert killed.error.startswith("Exit code 137 (SIGKILL)")
    assert (ended(absent).status, absent.outcome) == (Status.FAILED, Outcome.CONFIG_ERROR)
    assert engine.containers() == []


@pytest.mark.docker
def test_a_lack_of_memory_is_told_from_other_kills(docker_host: ExecutorHost) -> None:
    def is_told() -> bool:
        # Under load the engine may leave its note of it out; that a kill is never taken for one is tested above.
        greedy = queue("cat /dev/zero | tail", memory_limit=16)
        drain()
        assert (ended(greedy).status, greedy.exit_code) == (Status.FAILED, 137)
        return greedy.outcome == Outcome.OOM

    assert any(is_told() for _ in range(5))


def test_what_a_running_job_uses_is_on_its_attempt_and_stays_there(engine: ContainerEngine) -> None:
    job = queue("x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 600; echo $x")
    measured = job.attempts.filter(memory_peak_bytes__gt=20_000_000, cpu_seconds__gt=0)
    first = spawn_worker("--poll-interval", "0.1")
    with ending(first):
        wait_until(measured.exists, seconds=180, what="the measurement")
        first.terminate()
        assert first.wait(timeout=60) == 0
    before = job.attempts.get()
    queue_manager.cancel_job(job)
    drain()
    after = job.attempts.get()
    assert (ended(job).status, after.outcome) == (Status.CANCELLED, Outcome.CANCELLED)
    assert (after.memory_peak_bytes or 0) >= (before.memory_peak_bytes or 0)
    assert (after.cpu_seconds or 0) >= (before.cpu_seconds or 0)


class SeldomAsked(DockerExecutor):
    """Ends are seen only when the engine tells of them."""

    observe_interval_seconds = 600.0


@pytest.mark.docker
def test_an_end_that_the_engine_tells_of_is_seen_at_once(transactional_db: None) -> None:
    own = {"EXECUTORS": {"seldom": f"{__name__}.SeldomAsked"}, "POLL_INTERVAL": 600}
    worker = spawn_worker("--poll-interval", "0.1", environment={"TEST_CONTAINER_MANAGER": json.dumps(own)})
    with DOCKER.host(executor_type="seldom"), ending(worker):
        # The first may have ended before the worker listens; no later look finds it.
        for _ in range(5):
            job = queue("sleep 1")
            with contextlib.suppress(JobWaitTimeoutError):
                queue_manager.wait_for(job, timeout=20)
                break
    assert ended(job).status == Status.COMPLETED


@pytest.mark.docker
def test_output_is_in_the_database_about_a_second_after_it_was_written(docker_host: ExecutorHost) -> None:
    job = queue("for line in 1 2 3 4; do echo line $line; sleep 1; done; sleep 60")
    worker = spawn_worker("--poll-interval", "0.1")
    delays: list[float] = []

    def lines_have_come() -> bool:
        attempt = job.attempts.first()
        entries = [entry for piece in read_output(attempt) for entry in piece.entries] if attempt else []
        now = datetime.now(UTC)
        for entry in entries[len(delays) :]:
            assert entry.at is not None
            delays.append((now - entry.at).total_seconds())
        return len(delays) == 4

    with ending(worker):
        wait_until(lines_have_come, seconds=30, what="the fourth line")
        assert ended(job).status == Status.RUNNING
        queue_manager.cancel_job(job)
        with pytest.raises(JobFailedError):
            queue_manager.wait_for(job, timeout=60)
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    assert ended(job).status == Status.CANCELLED
    # The first line may come while the start is still being recorded.
    assert max(delays[1:]) < 1.5, delays
    assert DOCKER.containers() == []


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_a_log_of_100_megabytes_grows_neither_the_worker_nor_the_rows(docker_host: ExecutorHost) -> None:
    worker = spawn_worker("--poll-interval", "0.1")
    with ending(worker):
        queue_manager.wait_for(queue("echo small"), timeout=60)
        before = peak_memory_bytes(worker.pid)
        lines = f"yes {'0123456789' * 10} | head -c {FLOOD_BYTES}"
        flood = queue(f"echo first; until [ -e /go ]; do sleep 0.05; done; {lines}; echo last")
        # The engine keeps no more than its own limit, and a loaded worker may come late.
        wait_until(lambda: flood.output() == "first\n", what="the first line")
        let_go(flood)
        queue_manager.wait_for(flood, timeout=600)
        grown = peak_memory_bytes(worker.pid) - before
        worker.terminate()
        assert worker.wait(timeout=30) == 0

    attempt = ended(flood).attempts.get()
    output = flood.output()
    assert (flood.status, flood.exit_code) == (Status.COMPLETED, 0)
    assert JobLog.objects.filter(attempt=attempt).count() == HEAD_CHUNKS + TAIL_CHUNKS
    assert output.startswith("first\n0123456789")
    assert output.endswith("last\n")
    assert attempt.log_bytes_left_out > 0
    assert len(output) < 1_100_000
    assert grown < 60_000_000, f"{grown} bytes"


def let_go(job: ContainerJob) -> None:
    name = execution_name(Installation.current("default").identifier, job.pk, 1)
    with APIClient(ADDRESS, timeout=60) as client:
        client.exec_start(client.exec_create(name, ["touch", "/go"])["Id"])


def peak_memory_bytes(process_id: int) -> int:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


@pytest.mark.docker
def test_the_pull_that_jobs_wait_for_is_in_their_timeline(docker_host: ExecutorHost) -> None:
    with registry_with(uuid4().hex) as registry:
        image = f"{registry.address}/team/job:v1"
        registry.gate.clear()
        jobs = [queue_manager.create_and_queue(command="true", image=image) for _ in range(2)]
        worker = spawn_worker("--drain", "--poll-interval", "0.1")
        with ending(worker):
            wait_until(lambda: registry.requests["manifest"] > 0, what="the question for the image")
            launching = ContainerJob.objects.filter(status=Status.LAUNCHING)
            wait_until(lambda: launching.count() == 2, what="both launches")
            registry.gate.set()
            output, _ = worker.communicate(timeout=120)
            assert worker.returncode == 0, output
        with APIClient(ADDRESS, timeout=20) as client:
            client.remove_image(image, force=True)
    for job in jobs:
        (note,) = job.events.filter(verb=Verb.NOTE)
        assert note.message.startswith(f"Pulling the image {image}"), note.message
        assert note.attempt == 1
        verbs = list(job.events.order_by("id").values_list("verb", flat=True))
        assert verbs.index(Verb.NOTE) == verbs.index(Verb.CLAIM) + 1
    assert DOCKER.containers() == []
