"""The command line with a real worker: exit codes, live output, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from container_manager import queue_manager
from container_manager.exceptions import JobFailedError
from container_manager.management import exits
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import Outcome, Status
from tests.processes import ending, spawn, spawn_worker, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
IGNORES_THE_STOP = ("sh", "-c", "trap 'exit 0' TERM; echo ready; sleep 60 & wait")


def containers(*arguments: str) -> subprocess.Popen[str]:
    return spawn("-m", "container_manager", *arguments)


@pytest.fixture
def worker(process_host: ExecutorHost) -> Iterator[subprocess.Popen[str]]:
    process = spawn_worker("--poll-interval", "0.1")
    with ending(process):
        yield process


def run_and_wait(*arguments: str) -> tuple[int, str]:
    command = containers("run", "--wait", *arguments)
    with ending(command):
        output, _ = command.communicate(timeout=60)
        return command.returncode, output


@pytest.mark.usefixtures("worker")
def test_run_and_wait_exits_as_the_job_does_and_prints_what_it_says() -> None:
    code, output = run_and_wait("--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert code == 7
    assert "out\n" in output
    assert "err\n" in output
    assert "failed: Exit code 7." in output
    assert run_and_wait("--shell", "--", "echo $((6 * 7))")[0] == 0
    assert run_and_wait("--", "no-such-program")[0] == 127


@pytest.mark.usefixtures("worker")
def test_a_job_that_was_stopped_is_no_success_whatever_its_exit_code() -> None:
    code, output = run_and_wait("--timeout", "1", "--", *IGNORES_THE_STOP)
    assert code == exits.NOT_RUN, output
    job = ContainerJob.objects.get()
    assert (job.status, job.outcome, job.exit_code) == (Status.FAILED, Outcome.TIMEOUT, 0)

    command = containers("run", "--wait", "--name", "victim", "--", *IGNORES_THE_STOP)
    with ending(command):
        wait_until(lambda: ContainerJob.objects.filter(name="victim", status=Status.RUNNING).exists(), what="its start")
        victim = ContainerJob.objects.get(name="victim")
        cancelling = containers("cancel", str(victim.pk))
        with ending(cancelling):
            assert cancelling.wait(timeout=30) == 0
        command.communicate(timeout=60)
        assert command.returncode == exits.NOT_RUN


@pytest.mark.usefixtures("worker")
def test_waiting_has_a_limit_and_an_interruption_leaves_the_job_alone() -> None:
    code, output = run_and_wait("--wait-timeout", "1", "--", "sleep", "30")
    assert code == exits.WAIT_TIMEOUT
    assert "goes on" in output
    command = containers("run", "--follow", "--name", "kept", "--", "sh", "-c", "echo begun; sleep 60")
    with ending(command):
        assert command.stdout
        while "begun" not in command.stdout.readline():
            assert command.poll() is None
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=30) == exits.INTERRUPTED
        assert "containers cancel" in command.stdout.read()
    job = ContainerJob.objects.get(name="kept")
    assert job.status == Status.RUNNING
    for left in ContainerJob.objects.filter(status=Status.RUNNING):
        queue_manager.cancel_job(left)
    wait_until(lambda: not ContainerJob.objects.filter(status=Status.RUNNING).exists(), what="the cancellation")


@pytest.mark.usefixtures("worker")
def test_with_json_the_output_is_one_object_and_the_exit_code_is_the_same() -> None:
    code, output = run_and_wait("--json", "--", "sh", "-c", "echo no''ise; exit 4")
    assert code == 4
    line = next(line for line in output.splitlines() if line.startswith("{"))
    assert json.loads(line)["job"]["exit_code"] == 4
    assert "noise" not in output


def test_every_attempt_of_a_job_that_is_waited_for_is_printed(process_host: ExecutorHost) -> None:
    quick = {"quick": {"rules": [{"retry": True}], "max_reruns": 1, "first_delay": 0.1}}
    settings = {"TEST_CONTAINER_MANAGER": json.dumps({"RETRY_POLICIES": quick})}
    worker = spawn_worker("--poll-interval", "0.1", environment=settings)
    arguments = ("--retry-policy", "quick", "--shell", "--", 'echo "try $CM_ATTEMPT"; exit 3')
    command = spawn("-m", "container_manager", "run", "--wait", *arguments, environment=settings)
    with ending(worker, command):
        output, _ = command.communicate(timeout=60)
    assert command.returncode == 3
    for expected in ("try 1\n", "try 2\n", "[attempt 2, on here]"):
        assert expected in output


def test_who_waits_is_told_why(process_host: ExecutorHost) -> None:
    code, output = run_and_wait("--wait-timeout", "4", "--", "true")
    assert code == exits.WAIT_TIMEOUT
    assert "No worker runs: start one" in output


def test_logs_follow_a_running_job_within_a_second(process_host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(
        command=["sh", "-c", "for i in 1 2 3 4 5; do date +%s.%N; sleep 1; done"], name="speaker"
    )
    follower = containers("logs", "--follow", str(job.pk))
    worker = spawn_worker("--poll-interval", "0.1")
    with ending(worker, follower):
        assert follower.stdout is not None
        delays = [time.time() - float(line) for line in follower.stdout if line[0].isdigit()]
        assert follower.wait(timeout=30) == 0
    assert len(delays) == 5
    # On a busy machine one may be late.
    assert sorted(delays)[3] < 1.0, delays


def test_a_worker_ends_cleanly_when_it_is_told_to(worker: subprocess.Popen[str]) -> None:
    job = queue_manager.create_and_queue(command=["sh", "-c", "exit 3"])
    with pytest.raises(JobFailedError):
        queue_manager.wait_for(job, timeout=60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
