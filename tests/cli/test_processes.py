"""The command line with a real worker: exit codes, live output, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from container_manager import queue_manager
from container_manager.exceptions import JobFailedError
from container_manager.management import exits
from container_manager.models import ExecutorHost
from tests.processes import ending, spawn, spawn_worker

pytestmark = pytest.mark.django_db(transaction=True)


def containers(*arguments: str) -> subprocess.Popen[str]:
    return spawn("-m", "container_manager", *arguments)


def test_run_and_wait_exits_as_the_job_does(process_host: ExecutorHost) -> None:
    worker = spawn_worker("--poll-interval", "0.1")
    with ending(worker):
        for code, arguments in (
            (7, ("--", "sh", "-c", "echo out; exit 7")),
            (0, ("--shell", "--", "echo out")),
            (127, ("--", "no-such-program")),
        ):
            command = containers("run", "--wait", *arguments)
            with ending(command):
                output, _ = command.communicate(timeout=60)
                assert command.returncode == code, output
                assert "out" in output or code == 127
        slow = containers("run", "--wait", "--timeout", "1", "--", "sleep", "30")
        with ending(slow):
            slow.communicate(timeout=60)
            assert slow.returncode == exits.WAIT_TIMEOUT


def test_logs_follow_a_running_job_within_a_second(process_host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(
        command=["sh", "-c", "for i in 1 2 3 4; do date +%s.%N; sleep 1; done"], name="speaker"
    )
    worker = spawn_worker("--poll-interval", "0.1")
    follower = containers("logs", "--follow", str(job.pk))
    with ending(worker, follower):
        assert follower.stdout is not None
        delays = [time.time() - float(line) for line in follower.stdout]
        assert follower.wait(timeout=30) == 0
    assert len(delays) == 4
    # The first line may have been written before the worker's first look at the output.
    assert sorted(delays)[1] < 1.5, delays


def test_a_worker_ends_cleanly_when_it_is_told_to(process_host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command=["sh", "-c", "exit 3"])
    worker = spawn_worker("--poll-interval", "0.1")
    with ending(worker):
        with pytest.raises(JobFailedError):
            queue_manager.wait_for(job, timeout=60)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=30) == 0
