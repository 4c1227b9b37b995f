"""What the dashboard's parts show, to whom, and what they cost."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from container_manager import filtering, queue_manager
from container_manager.admin.dashboard.attention import items
from container_manager.admin.dashboard.failures import recent_failures
from container_manager.admin.dashboard.history import WINDOWS, buckets, by_queue, hourly
from container_manager.admin.dashboard.queues import queues, waiting
from container_manager.models import ContainerJob, ExecutorHost, MinuteRollup, Worker
from container_manager.models.rollup import TOTAL
from container_manager.states import Status

INDEX = "/admin/container_manager/"
PART = "/admin/container_manager/minuterollup/{}/"
NOW = datetime(2030, 5, 6, 12, 34, 56, tzinfo=UTC)
PARTS = ("states", "attention", "charts", "queues", "hosts", "workers")

pytestmark = pytest.mark.django_db


def failed(error: str, count: int = 1, **fields: object) -> list[ContainerJob]:
    return ContainerJob.objects.bulk_create(
        ContainerJob(
            command="false", status=Status.FAILED, error=error, **{"queued_at": NOW, "finished_at": NOW, **fields}
        )
        for _ in range(count)
    )


def rolled_up(minute: datetime, *, queue: str = "default", **counts: int) -> None:
    MinuteRollup.objects.create(minute=minute, queue=queue, **counts)


def all_items(now: datetime = NOW) -> list[str]:
    return [item.title for item in items("default", now, with_hosts=True, with_workers=True, with_handlers=True)]


def test_failures_with_the_same_error_are_one_line_the_most_frequent_first() -> None:
    failed("Exit code 3.", 2, name="report")
    failed("Exit code 2.", 3, name="feed")
    failed("Exit code 2.", 1, name="mail")
    failed("Exit code 9.", 5, finished_at=NOW - timedelta(hours=2))
    found = recent_failures("default", NOW)
    assert [(failure.error, failure.count, failure.jobs) for failure in found] == [
        ("Exit code 2.", 4, "feed, mail"),
        ("Exit code 3.", 2, "report"),
    ]


def test_errors_that_differ_by_an_id_are_the_same_error_and_their_link_finds_them_all() -> None:
    for number in range(3):
        failed(f"Cannot reach engine 10.0.0.{number}:2375 as 0x{number}f at offset 10{number}2")
    failed("Exit code 2.", 2)
    engine, exit_code = recent_failures("default", NOW)
    assert (engine.count, engine.is_exact) == (3, False)
    for failure in (engine, exit_code):
        meant = filtering.parse(parse_qs(failure.query)).apply(queue_manager.get_ready_jobs().model.objects.all())
        assert meant.count() == failure.count


def test_a_failure_of_a_hostile_job_cannot_write_markup_into_the_page(boss: Client) -> None:
    failed("<script>alert(1)</script>", name="<img src=x>", finished_at=timezone.now())
    text = boss.get(PART.format("attention")).content.decode()
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "<img" not in text


def test_a_host_that_is_down_a_silent_worker_and_a_job_that_waits_need_attention() -> None:
    ExecutorHost.objects.create(name="down", executor_type="fake", health_error="connection refused")
    ExecutorHost.objects.create(name="drained", executor_type="fake", health_error="refused", is_active=False)
    long_ago = timezone.now() - timedelta(days=1)
    Worker.objects.create(node="north", process_id=7, started_at=long_ago, heartbeat_at=long_ago)
    queue_manager.create_and_queue(command="true", name="patient")
    titles = all_items(timezone.now() + timedelta(minutes=5))
    assert titles == [
        "Host down is down",
        "Worker north:7 stopped beating",
        "No worker runs",
        "patient waits in queue default",
    ]


def test_the_oldest_ready_job_of_a_queue_is_found_across_priorities_and_waits_from_when_it_was_due() -> None:
    now = timezone.now()
    for minutes, priority, queue in ((5, 80, "a"), (9, 50, "a"), (7, 20, "a"), (3, 50, "b")):
        ContainerJob.objects.create(
            command="true", name=f"{queue}{minutes}", status=Status.QUEUED, priority=priority, queue=queue,
            queued_at=now - timedelta(minutes=minutes),
        )  # fmt: skip
    ContainerJob.objects.create(
        command="true", queue="c", status=Status.QUEUED, queued_at=now - timedelta(days=1),
        scheduled_for=now - timedelta(minutes=1),
    )  # fmt: skip
    ContainerJob.objects.create(command="true", queue="d", status=Status.QUEUED, scheduled_for=now + timedelta(hours=1))
    found = {row.queue: row for row in waiting("default")}
    assert {name: row.count for name, row in found.items()} == {"a": 3, "b": 1, "c": 1}
    assert found["a"].oldest.name == "a9"
    assert now - found["c"].since == timedelta(minutes=1)


def test_a_queue_that_no_host_serves_says_so(boss: Client) -> None:
    queue_manager.create_and_queue(command="true", queue="nowhere")
    ExecutorHost.objects.create(name="one", executor_type="fake", queues=["default"])
    found = {queue.name: list(queue.hosts) for queue in queues("default", timezone.now())}
    assert found == {"default": ["one"], "nowhere": []}
    assert "none serves it" in boss.get(PART.format("queues")).content.decode()


@pytest.mark.parametrize(("name", "number"), [("1h", 60), ("24h", 96), ("7d", 84)])
def test_buckets_sum_all_queues_and_the_last_one_is_the_running_one(name: str, number: int) -> None:
    window = WINDOWS[name]
    rolled_up(TOTAL, completed=99)
    rolled_up(NOW.replace(second=0), completed=2, wait_bucket_1=2, run_bucket_3=2)
    rolled_up(NOW.replace(second=0), queue="b", completed=1, failed=4)
    rolled_up(window.start(NOW), cancelled=1)
    rolled_up(window.start(NOW) - timedelta(minutes=1), completed=50)
    found = buckets(window, "default", NOW)
    assert len(found) == number
    assert (found[-1].completed, found[-1].failed, found[0].cancelled) == (3, 4, 1)
    assert sum(bucket.completed for bucket in found) == 3
    assert found[-1].start <= NOW < found[-1].start + window.bucket
    assert found[-1].wait_p50 is not None
    assert 0.1 < found[-1].wait_p50 < 0.3
    assert found[-1].run_p95 is not None
    assert 1.0 < found[-1].run_p95 < 3.0
    assert found[-2].wait_p50 is None


def test_sparklines_count_by_the_hour_and_by_the_queue() -> None:
    rolled_up(NOW.replace(second=0), completed=2, failed=1)
    rolled_up(NOW.replace(second=0) - timedelta(hours=23), completed=5)
    rolled_up(NOW.replace(second=0) - timedelta(hours=24), completed=7)
    assert hourly("default", NOW)["completed"] == [5] + [0] * 22 + [2]
    assert by_queue("default", NOW) == {"default": [0] * 11 + [3]}


def test_each_user_sees_the_parts_that_they_may_see_and_gets_403_for_the_others(
    client_of: Callable[..., Client],
) -> None:
    shown = {
        ("view_containerjob",): {"states", "attention", "charts", "queues"},
        ("view_executorhost",): {"hosts"},
        ("view_worker",): {"workers"},
    }
    for codenames, names in shown.items():
        client = client_of(*codenames)
        page = client.get(INDEX).content.decode()
        assert set(re.findall(r'<div id="cm-(\w+)" class="cm-part"', page)) == names
        answers = {name: client.get(PART.format(name)).status_code for name in PARTS}
        assert answers == {name: 200 if name in names else 403 for name in PARTS}
    assert Client().get(PART.format("states")).status_code == 302


def test_an_unknown_part_is_not_found_and_an_unknown_window_is_the_hour(boss: Client) -> None:
    assert boss.get(PART.format("nothing")).status_code == 404
    assert boss.get(PART.format("charts"), {"window": "1y"}).context["part"]["window"] == "1h"


def test_the_dashboard_costs_the_same_queries_however_many_jobs_there_are(
    boss: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    ExecutorHost.objects.create(name="one", executor_type="fake")
    with django_assert_max_num_queries(45) as few:
        queue_manager.create_and_queue(command="true")
        boss.get(INDEX)
    now = timezone.now()
    failed("Exit code 2.", 40, finished_at=now)
    queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(60)])
    with django_assert_max_num_queries(45):
        boss.get(INDEX)
    assert few
