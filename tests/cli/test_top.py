"""``containers top``: one look for a pipe, and a live view on a terminal that q ends."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.utils import timezone

from container_manager import queue_manager
from container_manager.models import ContainerJob, ExecutorHost, MinuteRollup
from container_manager.states import Status
from tests.cli.conftest import Containers
from tests.processes import ROOT, child_environment, ending, wait_until


@pytest.mark.django_db
def test_a_pipe_gets_one_look(containers: Containers, process_host: ExecutorHost) -> None:
    queue_manager.create_and_queue(command="true", queue="media")
    queue_manager.create_and_queue(command="true", queue="media", max_retries=0)
    MinuteRollup.objects.create(minute=timezone.now(), queue="media", completed=1_234)
    answer = containers("top")
    assert answer.code == 0
    assert answer.out.startswith("queued 1  scheduled 0  running 0  launch failed 1   workers 0   ")
    assert "1,234 completed ended" in answer.out
    lines = [line.split() for line in answer.out.splitlines()]
    assert ["media", "1", "1", "0", "0"] in lines
    assert ["here", "0/20", "active", "not", "reached", "yet"] in lines


@pytest.mark.django_db
def test_as_json_it_has_the_same(containers: Containers, process_host: ExecutorHost) -> None:
    job = ContainerJob.objects.create(command="sleep 9", status=Status.RUNNING)
    job.attempts.create(number=1, host=process_host, active_job=job, launched_at=timezone.now())
    top = containers("top", "--json").json["top"]
    assert top["queues"] == [{"queue": "default", "ready": 0, "held": 0, "launching": 0, "running": 1}]
    assert [(row["id"], row["job"], row["host"]) for row in top["running"]] == [(str(job.pk), "sleep 9", "here")]
    assert top["hosts"][0]["active_jobs"] == 1


@pytest.mark.django_db
def test_several_looks_follow_each_other(containers: Containers) -> None:
    assert containers("top", "-n", "3", "--interval", "0.01").out.count("workers 0") == 3


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-m", "container_manager", *arguments],
            cwd=ROOT, env=child_environment(TERM="xterm", COLUMNS="120"), stdin=slave, stdout=slave, stderr=slave,
            text=True, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        os.set_blocking(self._master, False)
        self.seen = ""

    def shows(self, text: str) -> bool:
        with contextlib.suppress(OSError):
            self.seen += os.read(self._master, 65_536).decode(errors="replace")
        return text in self.seen

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())

    def close(self) -> None:
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal("top", "--interval", "0.2")
    with ending(found.process):
        yield found
    found.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_interrupted", [False, True], ids=["q", "Ctrl-C"])
def test_on_a_terminal_it_follows_the_queue_until_a_key_ends_it(terminal: Terminal, is_interrupted: bool) -> None:
    wait_until(lambda: terminal.shows("queued 0"), what="the first look")
    queue_manager.create_and_queue(command="true")
    wait_until(lambda: terminal.shows("queued 1"), what="the job in a later look")
    if is_interrupted:
        terminal.process.send_signal(signal.SIGINT)
    else:
        terminal.press("xq")
    wait_until(lambda: terminal.shows("") and terminal.process.poll() is not None, what="its end")
    assert terminal.process.returncode == 0
