"""A worker drains jobs of every fate; each ends in the right status, with its exit code and its output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from container_manager import queue_manager
from container_manager.executors.fake import FakeEngine, Script
from container_manager.hosts import node_name
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, Worker
from container_manager.states import Outcome, Status

pytestmark = pytest.mark.django_db(transaction=True)

Fate = tuple[dict[str, Any], tuple[str, int | None, str, str]]
FATES: dict[str, Fate] = {
    "succeeds": ({"command": Script(stdout="good\n").command()}, (Status.COMPLETED, 0, Outcome.OK, "good\n")),
    "fails": (
        {"command": Script(exit_code=3, stdout="a\n", stderr="bad\n").command()},
        (Status.FAILED, 3, Outcome.APP_ERROR, "a\nbad\n"),
    ),
    "runs out of memory": (
        {"command": Script(exit_code=137, reason="oom").command()},
        (Status.FAILED, 137, Outcome.OOM, ""),
    ),
    "does not exist": (
        {"command": Script(is_missing=True).command()},
        (Status.FAILED, 127, Outcome.CONFIG_ERROR, ""),
    ),
    "has no image": (
        {"command": Script(create_error="image").command()},
        (Status.FAILED, None, Outcome.IMAGE_ERROR, ""),
    ),
    "is refused at its start": (
        {"command": Script(start_error="specification").command()},
        (Status.FAILED, None, Outcome.CONFIG_ERROR, ""),
    ),
    "runs too long": (
        {"command": Script(seconds=None, stdout="began\n").command(), "timeout_seconds": 1},
        (Status.FAILED, 143, Outcome.TIMEOUT, "began\n"),
    ),
    "is scheduled": ({"command": Script(stdout="later\n").command()}, (Status.COMPLETED, 0, Outcome.OK, "later\n")),
}


def test_five_hundred_jobs_of_different_fates_end_as_they_should(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any]
) -> None:
    names = [list(FATES)[number % len(FATES)] for number in range(500)]
    soon = timezone.now() + timedelta(seconds=1)
    jobs = queue_manager.queue_jobs([
        ContainerJob(name=name, **FATES[name][0], scheduled_for=soon if name == "is scheduled" else None)
        for name in names
    ])  # fmt: skip
    never = queue_manager.create_and_queue(command="true", max_retries=0)

    drain()

    for name, job in zip(names, jobs, strict=True):
        job.refresh_from_db()
        assert (job.status, job.exit_code, job.outcome, job.output()) == FATES[name][1], (name, job.error)
        assert job.attempt == 1
        assert bool(job.error) == (job.status == Status.FAILED)
    never.refresh_from_db()
    assert never.status == Status.QUEUED
    assert max(Counter(fake_engine.starts).values()) == 1
    assert fake_engine.executions == {}, "nothing is left in the engine"
    assert not JobAttempt.objects.filter(active_job__isnull=False).exists()
    assert not Worker.objects.exists()


def test_fifty_real_processes_end_as_they_should(
    transactional_db: None, drain: Callable[..., Any], tmp_path: Path
) -> None:
    ExecutorHost.objects.create(
        name="here", executor_type="process", node=node_name(), options={"state_directory": str(tmp_path)},
        max_concurrent_jobs=20,
    )  # fmt: skip
    jobs = queue_manager.queue_jobs([
        ContainerJob(command=["sh", "-c", f"echo out {number}; echo err {number} >&2; exit {number % 5}"])
        for number in range(50)
    ])  # fmt: skip
    drain(concurrency=10)
    for number, job in enumerate(jobs):
        job.refresh_from_db()
        expected = Status.COMPLETED if number % 5 == 0 else Status.FAILED
        assert (job.status, job.exit_code) == (expected, number % 5), job.error
        assert job.output(stream="stdout") == f"out {number}\n"
        assert job.output(stream="stderr") == f"err {number}\n"
    assert list(tmp_path.glob("*/cm-*")) == []


def test_jobs_come_out_by_priority_and_within_one_in_the_order_they_came(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any]
) -> None:
    priorities = [(number * 37) % 5 * 25 for number in range(200)]
    jobs = queue_manager.queue_jobs([ContainerJob(command="true", priority=priority) for priority in priorities])
    drain(concurrency=1)
    by_hex = {job.pk.hex: number for number, job in enumerate(jobs)}
    order = [by_hex[name.split("-")[2]] for name in fake_engine.starts]
    assert order == sorted(range(200), key=lambda number: (-priorities[number], number))
