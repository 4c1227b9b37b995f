"""Calls are delivered at least once: retried, leased, interrupted, and kept where they cannot be delivered."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.test import override_settings
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager import queue_manager
from container_manager.handlers import delivery, on_job, registry
from container_manager.models import ContainerJob, ExecutorHost, HandlerCall
from container_manager.worker import retention
from tests.cli.conftest import Containers, containers  # noqa: F401 - a fixture
from tests.handlers import told

pytestmark = pytest.mark.django_db(transaction=True)


def cancelled_job(name: str = "") -> ContainerJob:
    return queue_manager.cancel_job(ContainerJob.objects.create(command="true", name=name))


def test_a_call_that_raises_is_kept_with_its_error_and_tried_again(
    host: ExecutorHost, drain: Callable[[], None]
) -> None:
    on_job("cancelled")(told.raising)
    cancelled_job("Anna")
    drain()
    call = HandlerCall.objects.get()
    assert (call.state, call.worker, call.finished_at) == ("waiting", None, None)
    assert call.tries >= 1
    assert call.next_try_at is not None
    assert "ValueError: no mood for Anna" in call.last_error
    registry._functions["tests.handlers.told.raising"] = told.told
    told.make_due()
    drain()
    call.refresh_from_db()
    assert (call.state, call.last_error) == ("delivered", "")
    assert sum(told.calls().values()) == 1


@override_settings(CONTAINER_MANAGER={"HANDLER_MAX_TRIES": 1})
def test_a_call_that_was_given_up_is_listed_and_can_be_retried(
    host: ExecutorHost,
    drain: Callable[[], None],
    containers: Containers,  # noqa: F811
) -> None:
    on_job("cancelled")(told.raising)
    job = cancelled_job("Bert")
    drain()
    assert HandlerCall.objects.get().state == "failed"
    listed = containers("handlers", "--failed")
    assert "tests.handlers.told.raising" in listed.out
    assert "ValueError: no mood for Bert" in listed.out
    assert containers("handlers", "--failed", "--json").json["handlers"][0]["job_id"] == str(job.pk)
    registry._functions["tests.handlers.told.raising"] = told.told
    assert containers("handlers", "--retry").err.startswith("1 failed call is due again.")
    drain()
    assert HandlerCall.objects.get().state == "delivered"
    assert told.calls() == {job.pk.hex: 1}
    assert containers("handlers", "--failed").err == "No such call.\n"


def test_a_handler_whose_module_was_removed_keeps_its_call_and_says_so(
    host: ExecutorHost, drain: Callable[[], None]
) -> None:
    on_job("cancelled")(told.told)
    cancelled_job()
    HandlerCall.objects.update(handler="tests.handlers.removed.told")
    drain()
    call = HandlerCall.objects.get()
    assert call.state == "waiting"
    assert "There is no function tests.handlers.removed.told here" in call.last_error


def test_a_handler_that_exits_ends_no_worker(host: ExecutorHost, drain: Callable[[], None]) -> None:
    on_job("cancelled")(told.exiting)
    cancelled_job()
    drain()
    assert "SystemExit" in HandlerCall.objects.get().last_error


@override_settings(CONTAINER_MANAGER={"HANDLER_TIMEOUT": 0.2, "HANDLER_MAX_TRIES": 1})
def test_a_handler_that_takes_too_long_is_interrupted(host: ExecutorHost, drain: Callable[[], None]) -> None:
    on_job("cancelled")(told.endless)
    cancelled_job()
    drain()
    call = HandlerCall.objects.get()
    assert call.state == "failed"
    assert "HandlerTimeoutError" in call.last_error


@pytest.mark.races
def test_many_workers_take_each_call_once() -> None:
    on_job("cancelled")(told.told)
    for _ in range(40):
        cancelled_job()

    def take_all(_: int) -> list[int]:
        worker, mine = uuid7(), []
        try:
            while taken := delivery.take(worker, "default", limit=3):
                mine += [call.pk for call in taken]
        finally:
            connections.close_all()
        return mine

    with ThreadPoolExecutor(4) as threads:
        taken = [pk for mine in threads.map(take_all, range(4)) for pk in mine]
    assert sorted(taken) == sorted(HandlerCall.objects.values_list("pk", flat=True))


def test_a_dead_workers_call_is_taken_when_its_lease_is_over_and_its_own_answer_counts_no_more() -> None:
    on_job("cancelled")(told.told)
    cancelled_job()
    dead, alive = uuid7(), uuid7()
    (lost,) = delivery.take(dead, "default", limit=4)
    assert delivery.take(alive, "default", limit=4) == []
    delivery.renew([lost], "default")
    assert delivery.take(alive, "default", limit=4) == []
    told.make_due()
    (again,) = delivery.take(alive, "default", limit=4)
    assert again.tries == 2
    assert not delivery.record_delivered(lost, "default")
    assert not delivery.record_failure(lost, ValueError("late"), "default")
    delivery.renew([lost], "default")
    assert delivery.record_delivered(again, "default")
    assert HandlerCall.objects.get().state == "delivered"


def test_delivered_calls_are_pruned_by_age_and_others_stay() -> None:
    old = timezone.now() - timedelta(days=30)
    for state in HandlerCall.State:
        HandlerCall.objects.create(handler="x", event="completed", state=state, finished_at=old)
    assert retention.Retention("default").prune_some()["handler_calls"] == 1
    assert set(HandlerCall.objects.values_list("state", flat=True)) == {"waiting", "failed"}
