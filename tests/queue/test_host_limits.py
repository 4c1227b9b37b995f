"""What a host lets jobs ask for: judged when they are queued, when they are claimed, and once more at the launch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from container_manager import claiming, queue_manager
from container_manager.exceptions import JobValidationError, SpecificationError
from container_manager.executors.limits import described, time_limit
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.ownership import Claim
from container_manager.services import executor_for
from container_manager.services.executions import build_spec
from container_manager.services.recording import record_started
from container_manager.states import Hold, Status
from container_manager.waiting import why_it_waits

pytestmark = pytest.mark.django_db


def docker(name: str, **options: Any) -> ExecutorHost:
    host = ExecutorHost(name=name, executor_type="docker", node="here", options=options)
    host.full_clean()
    host.save()
    return host


def claimed(host: ExecutorHost) -> list[Claim]:
    return claiming.claim(host, uuid7(), queue="default", limit=10, using="default")


@pytest.mark.parametrize(
    ("field", "value", "unit"),
    [("memory_limit", 65, "MiB"), ("cpu_limit", 64.5, "cores"), ("timeout_seconds", 90, "s")],
)
def test_what_no_host_of_its_queue_allows_is_not_queued(field: str, value: float, unit: str) -> None:
    docker("small", **{f"max_{field}": 64})
    job = ContainerJob(command="true", **{field: value})
    with pytest.raises(JobValidationError) as refused:
        queue_manager.queue_job(job)
    (problem,) = refused.value.message_dict[field]
    assert "small" in problem
    assert f"{field} {value} {unit} is above this host's max_{field} of 64 {unit}" in problem
    with pytest.raises(JobValidationError, match=field):
        queue_manager.queue_jobs([ContainerJob(command="true"), ContainerJob(command="true", **{field: value})])
    assert not ContainerJob.objects.exists()
    queue_manager.create_and_queue(command="true", **{field: 64})


def test_a_job_goes_to_the_host_that_allows_it() -> None:
    small, large = docker("small", max_memory_limit=64), docker("large", max_memory_limit=128)
    big, little = (queue_manager.create_and_queue(command="true", memory_limit=size) for size in (100, 10))
    assert [claim.job.pk for claim in claimed(small)] == [little.pk]
    assert [claim.job.pk for claim in claimed(large)] == [big.pk]


def test_a_job_that_its_hosts_no_longer_allow_waits_and_says_why_until_one_does() -> None:
    host = docker("small")
    job = queue_manager.create_and_queue(command="true", timeout_seconds=100)
    host.options = {"max_timeout_seconds": 60}
    host.save()
    assert claimed(host) == []
    job.refresh_from_db()
    assert (job.status, job.hold) == (Status.QUEUED, Hold.UNSCHEDULABLE)
    assert "small (timeout_seconds 100 s is above this host's max_timeout_seconds of 60 s)" in why_it_waits(
        job, "default"
    )
    host.options = {"max_timeout_seconds": 100}
    host.save()
    assert [claim.job.pk for claim in claimed(host)] == [job.pk]


@pytest.mark.parametrize(
    ("wanted", "options", "given"),
    [
        (None, {}, None),
        (5, {}, 5),
        (None, {"default_timeout_seconds": 30, "max_timeout_seconds": 60}, 30),
        (None, {"max_timeout_seconds": 60}, 60),
        (50, {"default_timeout_seconds": 30, "max_timeout_seconds": 60}, 50),
        (90, {"max_timeout_seconds": 60}, 60),
    ],
)
def test_the_time_of_a_job_is_its_own_within_its_hosts(
    wanted: int | None, options: dict[str, Any], given: int | None
) -> None:
    assert time_limit(wanted, options) == given


def test_the_hosts_time_runs_from_the_start_and_is_what_the_engine_is_told() -> None:
    host = docker("brief", default_timeout_seconds=30)
    queue_manager.create_and_queue(command="true", image="busybox:local")
    (claim,) = claimed(host)
    assert build_spec(claim, "test", executor_for(host, "test")).timeout_seconds == 30
    record_started([(claim, "x")], "default", owner=claim.worker)
    attempt = JobAttempt.objects.get()
    assert attempt.deadline_at is not None
    assert attempt.started_at is not None
    assert attempt.deadline_at - attempt.started_at == timedelta(seconds=30)


def test_a_time_above_the_maximum_is_refused_at_the_launch_too() -> None:
    host = docker("brief")
    queue_manager.create_and_queue(command="true", image="busybox:local", timeout_seconds=100)
    (claim,) = claimed(host)
    claim.host.options = {"max_timeout_seconds": 60}
    with pytest.raises(SpecificationError, match="max_timeout_seconds of 60 s"):
        build_spec(claim, "test", executor_for(host, "test"))


def test_limits_are_said_as_a_person_reads_them() -> None:
    assert described({}) == ""
    limits = {
        "default_memory_limit": 512,
        "max_memory_limit": 1024,
        "max_cpu_limit": 1.5,
        "default_timeout_seconds": 60,
    }
    assert described(limits) == (
        "memory_limit 512 MiB, at most 1024; cpu_limit 1.5 cores, at most 1.5; timeout_seconds 60 s"
    )
