"""Tenants take turns: a crowd of one delays another's job by at most one job."""

from __future__ import annotations

from collections import Counter

import pytest

from container_manager import queue_manager, turns
from container_manager.models import ContainerJob
from container_manager.states import Hold, Status
from container_manager.waiting import why_it_waits
from tests.limits.conftest import Hands
from tests.limits.test_limits import queue

pytestmark = pytest.mark.django_db


def test_a_job_of_another_tenant_is_next_behind_a_crowd(hands: Hands) -> None:
    queue(300, tenant="crowd")
    running = hands.take()
    assert running[0].tenant == "crowd"
    [single] = queue(1, tenant="single", priority=10)
    hands.end(running[0])
    assert hands.take() == [single]


def test_it_is_next_where_nothing_ran_before(hands: Hands) -> None:
    queue(300, tenant="crowd")
    turns.admit("default")
    queue(1, tenant="single")
    order = []
    for _ in range(2):
        [job] = hands.take()
        hands.end(job)
        order.append(job.tenant)
    assert "single" in order


def test_with_many_slots_it_takes_the_first_that_is_free(hands: Hands) -> None:
    queue(300, tenant="crowd")
    running = hands.take(limit=20)
    assert len(running) == 20
    [single] = queue(1, tenant="single")
    hands.end(running[0])
    hands.end(running[1])
    assert single in hands.take(limit=2)


def test_three_crowds_share_evenly(hands: Hands) -> None:
    for tenant in "abc":
        queue(40, tenant=tenant)
    order = []
    for _ in range(30):
        [job] = hands.take()
        hands.end(job)
        order.append(job.tenant)
    assert Counter(order) == {"a": 10, "b": 10, "c": 10}
    assert all(len(set(order[start : start + 3])) == 3 for start in range(0, 30, 3)), order


def test_running_jobs_count_so_the_one_with_fewest_is_next(hands: Hands) -> None:
    queue(40, tenant="a")
    hands.take(limit=4)
    queue(40, tenant="b")
    taken = [hands.take()[0].tenant for _ in range(6)]
    assert taken[:4] == ["b"] * 4
    assert sorted(taken[4:]) == ["a", "b"]


def test_a_tenant_alone_fills_every_slot_at_one_look(hands: Hands) -> None:
    queue(60, tenant="alone")
    assert len(hands.take(limit=50)) == 50


def test_a_crowd_that_was_ready_waits_again_when_another_comes(hands: Hands) -> None:
    queue(60, tenant="crowd")
    hands.take()
    assert ContainerJob.objects.filter(hold=Hold.NONE, status=Status.QUEUED).count() >= 50
    queue(1, tenant="single")
    turns.admit("default")
    ready = queue_manager.get_ready_jobs().filter(hold=Hold.NONE)
    assert [job.tenant for job in ready] == ["single"]
    crowd = ContainerJob.objects.filter(tenant="crowd", hold=Hold.LIMIT).first()
    assert crowd is not None
    assert why_it_waits(crowd, "default").startswith(("No worker runs", "It waits for the turn of tenant 'crowd'"))


def test_queues_take_no_turns_with_each_other(hands: Hands) -> None:
    hands.host.queues = ["default", "media"]
    hands.host.save()
    queue(60, tenant="crowd")
    hands.take(limit=30)
    queue(1, tenant="crowd", queue="media")
    queue(1, tenant="single", queue="media")
    taken = hands.take(queue="media") + hands.take(queue="media")
    assert {job.tenant for job in taken} == {"crowd", "single"}


def test_what_fits_nowhere_does_not_hold_up_the_others_for_ever(hands: Hands) -> None:
    queue(60, tenant="crowd")
    hands.take()
    queue(1, tenant="single")
    turns.admit("default")
    assert ContainerJob.objects.filter(hold=Hold.NONE, status=Status.QUEUED).count() == 1
    turns.admit("default", patience=2)
    assert ContainerJob.objects.filter(hold=Hold.NONE, status=Status.QUEUED, tenant="crowd").count() >= 1
