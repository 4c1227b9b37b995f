"""Limits of tenants, definitions and batches are exact, whoever claims, launches, ends or dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from django.utils import timezone

from container_manager import due, queue_manager, turns
from container_manager.checks import check_settings
from container_manager.exceptions import JobValidationError
from container_manager.executors.fake import Script
from container_manager.models import ContainerJob, ExecutorHost, JobEvent, Lane, Place
from container_manager.services import finishing, recording
from container_manager.services.launching import LaunchResult
from container_manager.states import Hold, Outcome, Status
from container_manager.waiting import why_it_waits
from tests.cli.conftest import Containers, containers  # noqa: F401 - a fixture
from tests.limits.conftest import Hands

pytestmark = pytest.mark.django_db(transaction=True)


def limited(**limits: Any) -> override_settings:
    return override_settings(CONTAINER_MANAGER={"LIMITS": {name.replace("__", ":"): n for name, n in limits.items()}})


def queue(count: int, **fields: Any) -> list[ContainerJob]:
    return queue_manager.queue_jobs([ContainerJob(command="true", **fields) for _ in range(count)])


def holds() -> Counter[str]:
    return Counter(ContainerJob.objects.filter(status=Status.QUEUED).values_list("hold", flat=True))


@limited(tenant=2)
def test_no_more_of_a_tenants_jobs_are_ready_than_its_limit(hands: Hands) -> None:
    queue(5, tenant="acme")
    assert len(hands.take(limit=10)) == 2
    assert hands.take(limit=10) == []
    assert holds() == {"limit": 3}


@limited(tenant=2)
def test_each_end_lets_one_in(hands: Hands) -> None:
    queue(5, tenant="acme")
    first, second = hands.take(limit=10)
    hands.end(first)
    assert len(hands.take(limit=10)) == 1
    queue_manager.cancel_job(ContainerJob.objects.filter(hold=Hold.LIMIT).earliest("queued_at"))
    assert hands.take(limit=10) == []
    hands.end(second)
    assert len(hands.take(limit=10)) == 1


@limited(tenant=5, tenant__acme=1, tenant__free=None, definition__transcode=2)
def test_one_tenants_own_limit_counts_before_that_of_all(hands: Hands) -> None:
    for tenant in ("acme", "other", "free"):
        queue(8, tenant=tenant)
    queue(8, definition="transcode")
    queue(3, definition="report")
    while hands.take(limit=50):
        pass
    active = ContainerJob.objects.filter(status=Status.LAUNCHING).values_list("tenant", "definition")
    assert Counter(active) == {
        ("acme", ""): 1, ("other", ""): 5, ("free", ""): 8, ("", "transcode"): 2, ("", "report"): 3,
    }  # fmt: skip


@limited(tenant=3, definition__transcode=2)
def test_a_job_counts_in_all_its_limits_and_a_full_one_does_not_block_the_tenants_other_jobs(hands: Hands) -> None:
    queue(4, tenant="acme", definition="transcode")
    queue(4, tenant="acme", definition="report")
    taken = hands.take(limit=10)
    assert Counter(job.definition for job in taken) == {"transcode": 2, "report": 1}


def test_a_batch_runs_no_more_at_once_than_it_may(hands: Hands) -> None:
    batch = queue_manager.queue_batch([ContainerJob(command="true") for _ in range(5)], max_running=2)
    queue(1)
    taken = hands.take(limit=10)
    assert Counter(job.batch_id for job in taken) == {batch.pk: 2, None: 1}
    with pytest.raises(JobValidationError, match="max_running"):
        queue_manager.queue_batch([ContainerJob(command="true")], max_running=-1)


@limited(tenant=0)
def test_a_limit_of_nothing_lets_none_in(hands: Hands) -> None:
    [job] = queue(1, tenant="acme")
    assert hands.take() == []
    assert why_it_waits(job, "default") == "The limit of tenant:acme is reached: 0 of 0 are on their way."


@limited(tenant=1)
def test_within_a_tenant_priority_counts_then_the_queue(hands: Hands) -> None:
    jobs = queue(2, tenant="acme") + queue(1, tenant="acme", priority=80)
    order = []
    while taken := hands.take():
        order += taken
        hands.end(taken[0])
    assert order == [jobs[2], jobs[0], jobs[1]]


@limited(tenant=1)
def test_tenants_whose_names_differ_in_case_are_two(hands: Hands) -> None:
    queue(2, tenant="acme")
    queue(2, tenant="Acme")
    while hands.take(limit=10):
        pass
    assert ContainerJob.objects.filter(status=Status.LAUNCHING).count() == 2


@limited(tenant=1)
def test_a_scheduled_or_backing_off_job_takes_no_place(hands: Hands) -> None:
    [late] = queue_manager.queue_jobs([
        ContainerJob(command="true", tenant="acme", scheduled_for=timezone.now() + timedelta(hours=1))
    ])  # fmt: skip
    [job] = queue(1, tenant="acme")
    assert hands.take(limit=10) == [job]
    ContainerJob.objects.filter(pk=late.pk).update(hold_until=timezone.now() - timedelta(hours=1), scheduled_for=None)
    due.promote("default")
    assert ContainerJob.objects.get(pk=late.pk).hold == Hold.LIMIT
    assert hands.take(limit=10) == []
    hands.end(job)
    assert hands.take(limit=10) == [late]


@limited(tenant=1)
def test_a_failed_launch_gives_its_place_to_another_and_a_released_one_keeps_it(hands: Hands) -> None:
    first, second = queue(2, tenant="acme")
    turns.admit("default")
    [claim] = queue_manager.claim(hands.host, hands.worker)
    recording.release(claim, "default", reason="test")
    turns.admit("default")
    assert holds() == {"": 1, "limit": 1}
    [claim] = queue_manager.claim(hands.host, hands.worker)
    assert claim.job == first
    recording.record_launch_failure(claim, LaunchResult(success=False, error="no", is_transient=True), "default")
    assert hands.take(limit=10) == [second]


@limited(tenant=1)
def test_a_rerun_waits_for_a_place_again(hands: Hands) -> None:
    job, other = queue_manager.queue_jobs([
        ContainerJob(command="true", tenant="acme", retry_policy="on_failure") for _ in range(2)
    ])  # fmt: skip
    turns.admit("default")
    [claim] = queue_manager.claim(hands.host, hands.worker)
    recording.record_started([(claim, "id")], "default", owner=hands.worker)
    finishing.finish([finishing.Ending(claim=claim, outcome=Outcome.APP_ERROR, exit_code=1)], "default")
    assert hands.take(limit=10) == [other]
    ContainerJob.objects.filter(pk=job.pk).update(hold_until=timezone.now() - timedelta(hours=1))
    due.promote("default")
    assert hands.take(limit=10) == []
    hands.end(other)
    assert hands.take(limit=10) == [job]


@limited(tenant=1)
def test_launching_by_hand_takes_a_place_or_says_which_limit_is_reached(host: ExecutorHost) -> None:
    command = Script(seconds=None).command()
    first, second = queue_manager.queue_jobs([ContainerJob(command=command, tenant="acme") for _ in range(2)])
    assert queue_manager.launch_job(first) == {"success": True}
    answer = queue_manager.launch_job(second)
    assert answer == {"success": False, "error": "The limit of tenant:acme is reached: 1 of 1 are on their way."}
    second.refresh_from_db()
    assert (second.status, second.retry_count, second.hold) == (Status.QUEUED, 0, Hold.LIMIT)
    first.mark_as_completed()
    assert queue_manager.launch_job(second) == {"success": True}


@limited(tenant=1)
def test_a_deleted_job_leaves_its_place(hands: Hands) -> None:
    first, second = queue(2, tenant="acme")
    turns.admit("default")
    first.refresh_from_db()
    first.delete()
    assert hands.take(limit=10) == [second]


def test_jobs_without_limits_have_no_line_and_leave_no_trace(host: ExecutorHost, drain: Callable[[], None]) -> None:
    jobs = queue(3, definition="report") + queue_manager.queue_batch([ContainerJob(command="true")]).jobs.count() * []
    assert {job.line for job in jobs} == {""}
    drain()
    assert not Lane.objects.exists()
    assert not Place.objects.exists()


@limited(tenant=3)
def test_a_worker_runs_all_of_it_and_leaves_no_place_taken(host: ExecutorHost, drain: Callable[[], None]) -> None:
    for tenant in ("acme", "other"):
        queue(10, tenant=tenant)
    drain()
    assert ContainerJob.objects.filter(status=Status.COMPLETED).count() == 20
    turns.admit("default")
    assert not Place.objects.exists()
    assert not Lane.objects.filter(running__gt=0).exists()
    assert _most_at_once("acme") <= 3


def _most_at_once(tenant: str) -> int:
    """By the events: how many jobs of ``tenant`` were between their claim and their end."""
    events = JobEvent.objects.filter(job__tenant=tenant, verb__in=["claim", "complete"]).order_by("id")
    most = now = 0
    for verb in events.values_list("verb", flat=True):
        now += 1 if verb == "claim" else -1
        most = max(most, now)
    return most


@pytest.mark.races
@limited(tenant=3, definition__transcode=4)
def test_many_workers_at_once_never_pass_a_limit(host: ExecutorHost) -> None:
    for tenant in ("acme", "other"):
        queue(15, tenant=tenant, definition="transcode")

    def work(_: int) -> int:
        own, count = Hands(host), 0
        try:
            while ContainerJob.objects.filter(status=Status.QUEUED).exists():
                for job in own.take(limit=2):
                    active = ContainerJob.objects.filter(status=Status.LAUNCHING)
                    seen = Counter(active.values_list("tenant", flat=True))
                    assert max(seen.values()) <= 3
                    assert sum(seen.values()) <= 4
                    own.end(job)
                    count += 1
        finally:
            connections.close_all()
        return count

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) == 30


@limited(tenant=2)
def test_the_command_shows_checks_and_repairs(hands: Hands, containers: Containers) -> None:  # noqa: F811
    assert containers("limits").err == "No job that has a limit is on its way.\n"
    queue(3, tenant="acme")
    hands.take(limit=10)
    shown = containers("limits", "--check", "--json")
    assert (shown.code, shown.json["limits"]) == (0, [{"name": "tenant:acme", "running": 2, "limit": 2}])
    Lane.objects.filter(name="tenant:acme").update(running=7)
    Place.objects.filter(job=ContainerJob.objects.filter(status=Status.LAUNCHING)[0]).delete()
    wrong = containers("limits", "--check")
    assert wrong.code != 0
    assert "tenant:acme counts 7, and 1 places are taken." in wrong.err
    assert "is on its way without a place." in wrong.err
    assert "put right." in containers("limits", "--repair").err
    assert containers("limits", "--check").code == 0


@pytest.mark.parametrize(
    "limits", [{"tenant": -1}, {"tenant": "many"}, {"tenants": 1}, {"tenant:": 1}, {"queue:media": 1}, {"tenant": True}]
)
def test_a_limit_that_is_wrong_is_an_error_of_the_system_check(limits: Any) -> None:
    with override_settings(CONTAINER_MANAGER={"LIMITS": limits}):
        [found] = check_settings()
    assert found.id == "container_manager.E015"
