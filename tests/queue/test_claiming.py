"""A claim is committed, exact in its capacity, and takes only what is ready."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager import claiming, due, queue_manager
from container_manager.claiming import STARVATION_LIMIT
from container_manager.executors.fake import FakeEngine
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from container_manager.ownership import Claim
from container_manager.sql.clock import database_now
from container_manager.states import Hold, Outcome, Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker() -> UUID:
    return uuid7()


def claim(host: ExecutorHost, worker: UUID, limit: int = 100, queue: str = "default") -> list[Claim]:
    return claiming.claim(host, worker, queue=queue, limit=limit, using="default")


def test_a_claim_writes_down_the_attempt_and_its_owner(host: ExecutorHost, worker: UUID) -> None:
    job = queue_manager.create_and_queue(command="true", memory_limit=64, cpu_limit=0.5)
    [claimed] = claim(host, worker)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.worker) == (Status.LAUNCHING, 1, worker)
    attempt = JobAttempt.objects.get(active_job=job)
    assert (attempt.pk, attempt.number, attempt.worker, attempt.host) == (claimed.attempt_id, 1, worker, host)
    assert (attempt.memory_limit, attempt.cpu_limit) == (64, 0.5)
    assert claim(host, worker) == []


def test_a_thousand_jobs_come_out_in_priority_order_first_in_first_out(host: ExecutorHost, worker: UUID) -> None:
    ExecutorHost.objects.update(max_concurrent_jobs=2000)
    host.refresh_from_db()
    past = timezone.now() - timedelta(minutes=1)
    later = timezone.now() + timedelta(hours=1)
    jobs = queue_manager.queue_jobs([
        ContainerJob(
            command="true", priority=(number * 7919) % 101, scheduled_for=[None, past, later][number % 3]
        )
        for number in range(1000)
    ])  # fmt: skip
    expected = sorted((job for job in jobs if job.scheduled_for != later), key=lambda job: -job.priority)
    assert list(queue_manager.get_ready_jobs()) == expected
    taken = [claimed.job.pk for _ in range(20) for claimed in claim(host, worker, limit=50)]
    assert taken == [job.pk for job in expected]


def test_a_claim_costs_the_same_statements_for_one_and_for_many(host: ExecutorHost, worker: UUID) -> None:
    queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(41)])
    counts = []
    for limit in (1, 40):
        with CaptureQueriesContext(connection) as captured:
            claim(host, worker, limit=limit)
        counts.append(len(captured))
    # SQLite takes an INSERT in pieces.
    assert counts[0] == counts[1] or connection.vendor == "sqlite"
    assert counts[0] <= 12


def test_the_slots_of_a_host_are_never_exceeded(host: ExecutorHost, worker: UUID) -> None:
    ExecutorHost.objects.update(max_concurrent_jobs=3)
    host.refresh_from_db()
    queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(5)])
    first = claim(host, worker)
    assert len(first) == 3
    assert claim(host, uuid7()) == []
    first[0].job.mark_as_failed()
    assert len(claim(host, worker)) == 1


def test_cpu_and_memory_count_where_the_host_declares_them(host: ExecutorHost, worker: UUID) -> None:
    ExecutorHost.objects.update(cpu_capacity=2, memory_capacity=1000)
    host.refresh_from_db()
    big, small, other = queue_manager.queue_jobs([
        ContainerJob(command="true", cpu_limit=1.5, memory_limit=500),
        ContainerJob(command="true", cpu_limit=0.5, memory_limit=400),
        ContainerJob(command="true", cpu_limit=0.5, memory_limit=400),
    ])  # fmt: skip
    assert [claimed.job for claimed in claim(host, worker)] == [big, small]
    assert claim(host, worker) == []
    ContainerJob.objects.get(pk=big.pk).mark_as_failed()
    assert [claimed.job for claimed in claim(host, worker)] == [other]


@pytest.mark.parametrize(("capacity", "limit"), [("cpu_capacity", "cpu_limit"), ("memory_capacity", "memory_limit")])
def test_one_claim_of_many_keeps_to_each_capacity_by_itself(
    host: ExecutorHost, worker: UUID, capacity: str, limit: str
) -> None:
    ExecutorHost.objects.update(**{capacity: 10})
    host.refresh_from_db()
    queue_manager.queue_jobs([ContainerJob(**{"command": "true", limit: needs}) for needs in (3, 3, 3, 3, 1, None)])
    taken = [getattr(claimed.job, limit) for claimed in claim(host, worker)]
    assert taken == [3, 3, 3, 1, None], "the fourth does not fit, what needs no more than is left does"


def test_a_job_that_fits_nowhere_is_held_says_why_and_blocks_nobody(host: ExecutorHost, worker: UUID) -> None:
    ExecutorHost.objects.update(memory_capacity=1000)
    host.refresh_from_db()
    huge = queue_manager.create_and_queue(command="true", memory_limit=4000, priority=90)
    small = queue_manager.create_and_queue(command="true", memory_limit=10)
    assert [claimed.job for claimed in claim(host, worker)] == [small]
    huge.refresh_from_db()
    assert (huge.status, huge.hold) == (Status.QUEUED, Hold.UNSCHEDULABLE)
    assert "4000 MiB" in huge.hold_reason
    host.memory_capacity = 8000
    host.save()
    assert [claimed.job for claimed in claim(host, worker)] == [huge]


def test_small_jobs_overtake_a_big_one_at_the_head_only_for_so_long(host: ExecutorHost, worker: UUID) -> None:
    ExecutorHost.objects.update(memory_capacity=1000)
    host.refresh_from_db()
    queue_manager.create_and_queue(command="true", memory_limit=800)
    claim(host, worker)
    big = queue_manager.create_and_queue(command="true", memory_limit=900)
    queue_manager.create_and_queue(command="true", memory_limit=10)
    assert len(claim(host, worker, limit=1)) == 1, "it overtakes at first"
    queue_manager.create_and_queue(command="true", memory_limit=10)
    ContainerJob.objects.filter(pk=big.pk).update(queued_at=timezone.now() - STARVATION_LIMIT - timedelta(seconds=1))
    assert claim(host, worker) == [], "room is kept for the one that has waited long"


def test_queues_are_served_by_the_hosts_that_list_them_and_a_host_by_its_own(host: ExecutorHost, worker: UUID) -> None:
    pinned = queue_manager.create_and_queue(command="true", queue="host:fake")
    urgent = queue_manager.create_and_queue(command="true", queue="media", priority=90)
    assert claim(host, worker) == []
    assert claiming.queue_heads("default", ["default", "host:fake", "media"]) == ["media", "host:fake"]
    assert [claimed.job for claimed in claim(host, worker, queue="host:fake")] == [pinned]
    assert [claimed.job for claimed in claim(host, worker, queue="media")] == [urgent]


def test_promotion_makes_due_jobs_ready_and_leaves_the_others(host: ExecutorHost, worker: UUID) -> None:
    soon = timezone.now() + timedelta(hours=1)
    first, second = (queue_manager.queue_job(ContainerJob(command="true"), schedule_for=soon) for _ in range(2))
    assert due.promote("default") == 0
    ContainerJob.objects.filter(pk=first.pk).update(hold_until=timezone.now() - timedelta(seconds=1))
    assert due.promote("default") == 1
    assert [claimed.job for claimed in claim(host, worker)] == [first]
    second.refresh_from_db()
    assert (second.hold, second.scheduled_for) == (Hold.SCHEDULE, soon)


def test_a_job_that_waited_too_long_in_the_queue_has_failed(host: ExecutorHost, worker: UUID) -> None:
    job = queue_manager.create_and_queue(command="true", queue_timeout_seconds=60)
    patient = queue_manager.create_and_queue(command="true")
    assert due.expire("default") == 0
    ContainerJob.objects.filter(pk=job.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert due.expire("default") == 1
    job.refresh_from_db()
    assert (job.status, job.outcome, job.launched_at) == (Status.FAILED, Outcome.TIMEOUT, None)
    assert [claimed.job for claimed in claim(host, worker)] == [patient]


@pytest.mark.django_db(transaction=True)
def test_a_claim_inside_a_transaction_is_refused(host: ExecutorHost, worker: UUID) -> None:
    queue_manager.create_and_queue(command="true")
    with pytest.raises(RuntimeError), transaction.atomic():
        claim(host, worker)
    assert not JobAttempt.objects.exists()


def test_the_databases_clock_is_utc_whatever_the_sessions_zone(host: ExecutorHost, fake_engine: FakeEngine) -> None:
    assert abs((database_now("default") - timezone.now()).total_seconds()) < 5
    shifted = {"postgresql": "SET LOCAL TIME ZONE 'Asia/Karachi'", "mysql": "SET time_zone = '+05:00'"}
    try:
        if connection.vendor in shifted:
            with connection.cursor() as cursor:
                cursor.execute(shifted[connection.vendor])
        later = queue_manager.queue_job(ContainerJob(command="true"), schedule_for=timezone.now() + timedelta(hours=1))
        assert due.promote("default") == 0, "an hour ahead is not due, in any zone"
        ContainerJob.objects.filter(pk=later.pk).update(hold_until=timezone.now() - timedelta(minutes=1))
        assert due.promote("default") == 1
    finally:
        if connection.vendor == "mysql":
            with connection.cursor() as cursor:
                cursor.execute("SET time_zone = '+00:00'")
