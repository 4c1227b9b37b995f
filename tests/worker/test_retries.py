"""What a worker does when a launch fails, and when a run does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from container_manager import queue_manager
from container_manager.executors.fake import FakeEngine, Script, engine
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.states import Outcome, Status, Verb

pytestmark = pytest.mark.django_db(transaction=True)

QUICK = {"first_delay": 0.01, "longest_delay": 0.05}


def policies(**policies: dict[str, Any]) -> Any:
    return override_settings(CONTAINER_MANAGER={"RETRY_POLICIES": policies, "POLL_INTERVAL": 0.1})


def test_a_launch_that_fails_twice_and_then_succeeds_has_spent_two_retries(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any]
) -> None:
    fake_engine.script(lambda spec: Script(create_error="transient") if spec.attempt < 3 else Script(stdout="at last"))
    with policies(quick=QUICK):
        job = queue_manager.create_and_queue(command="x", retry_policy="quick")
        drain()
    job.refresh_from_db()
    assert (job.status, job.retry_count, job.attempt, job.output()) == (Status.COMPLETED, 2, 3, "at last")
    outcomes = list(job.attempts.order_by("number").values_list("outcome", flat=True))
    assert outcomes == [Outcome.INFRA_ERROR, Outcome.INFRA_ERROR, Outcome.OK]


def test_three_launches_in_all_and_then_it_has_failed_without_ever_being_launched(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any]
) -> None:
    fake_engine.script(lambda spec: Script(create_error="transient"))
    with policies(quick=QUICK):
        job = queue_manager.create_and_queue(command="x", retry_policy="quick")
        drain()
    job.refresh_from_db()
    assert (job.status, job.retry_count, job.attempt, job.launched_at) == (Status.FAILED, 3, 3, None)
    assert queue_manager.get_queue_stats()["launch_failed"] == 1
    assert fake_engine.starts == []


def test_a_permanent_failure_is_not_tried_again(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any]
) -> None:
    job = queue_manager.create_and_queue(command=Script(create_error="image").command())
    drain()
    job.refresh_from_db()
    assert (job.status, job.attempt, job.outcome) == (Status.FAILED, 1, Outcome.IMAGE_ERROR)


def test_an_application_failure_is_run_again_only_where_the_policy_says_so(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any]
) -> None:
    fake_engine.script(lambda spec: Script(exit_code=75 if spec.attempt < 3 else 0))
    rules = [{"exit_codes": [75], "retry": True}]
    with policies(
        again={"rules": rules, "max_reruns": 5, **QUICK}, other={"rules": [{"exit_codes": [1], "retry": True}]}
    ):
        again = queue_manager.create_and_queue(command="x", retry_policy="again")
        other = queue_manager.create_and_queue(command="x", retry_policy="other")
        default = queue_manager.create_and_queue(command="x")
        drain()
    for job in (again, other, default):
        job.refresh_from_db()
    assert (again.status, again.attempt, again.rerun_count, again.retry_count) == (Status.COMPLETED, 3, 2, 0)
    assert (other.status, other.attempt) == (Status.FAILED, 1)
    assert (default.status, default.attempt) == (Status.FAILED, 1)
    assert again.events.filter(verb=Verb.RETRY).count() == 2


def test_an_end_that_no_other_try_would_change_is_final_whatever_the_policy_says(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any]
) -> None:
    fake_engine.script(lambda _: Script(exit_code=1, reason=Outcome.IMAGE_ERROR, is_transient=False))
    with policies(stubborn={**QUICK, "rules": [{"retry": True}]}):
        job = queue_manager.create_and_queue(command="x", retry_policy="stubborn")
        drain()
    job.refresh_from_db()
    assert (job.status, job.outcome, job.attempt) == (Status.FAILED, Outcome.IMAGE_ERROR, 1)


def test_an_engine_that_is_away_costs_no_retry_and_holds_up_no_other_host(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any]
) -> None:
    ExecutorHost.objects.create(
        name="dead", executor_type="fake", options={"engine": "dead"}, queues=["elsewhere"], max_concurrent_jobs=5
    )
    engine("dead").is_reachable = False
    waiting = queue_manager.create_and_queue(command="x", queue="elsewhere")
    jobs = queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(5)])
    drain(queues=("default",), hosts=("fake",))
    assert {ContainerJob.objects.get(pk=job.pk).status for job in jobs} == {Status.COMPLETED}
    waiting.refresh_from_db()
    assert (waiting.status, waiting.retry_count) == (Status.QUEUED, 0)


@pytest.mark.parametrize("script", [Script(create_error="transient"), Script(start_error="transient")])
def test_a_job_cancelled_while_its_launch_fails_is_not_queued_again(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Callable[..., Any], script: Script
) -> None:
    job = queue_manager.create_and_queue(command="x")

    def cancel_then_fail(spec: Any) -> Script:
        ContainerJob.objects.filter(pk=job.pk).update(cancel_requested_at=job.queued_at)
        connection.close()  # of the executor's thread
        return script

    fake_engine.script(cancel_then_fail)
    drain()
    job.refresh_from_db()
    assert (job.status, job.outcome) == (Status.CANCELLED, Outcome.CANCELLED)
