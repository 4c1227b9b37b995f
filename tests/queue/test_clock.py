"""The database's clock is UTC in every session, as a value, in a column, and in a comparison."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from container_manager import claiming, due, queue_manager
from container_manager.models import ContainerJob, ExecutorHost, Worker
from container_manager.sql.clock import DatabaseNow, database_now
from container_manager.states import Hold, Status

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)
ZONES = {
    "postgresql": "SET TIME ZONE '{}'",
    "mysql": "SET time_zone = '{}'",
}


@pytest.fixture(params=["+00:00"] if settings.TEST_DATABASE == "sqlite" else ["+00:00", "+05:00", "-08:00"])
def zone(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """The session's own zone, as a server elsewhere or a careless connection sets it; SQLite has none."""
    name: str = request.param
    if connection.vendor in ZONES:
        # PostgreSQL counts an offset's sign the other way round; that it differs from UTC is all that matters.
        with connection.cursor() as cursor:
            cursor.execute(ZONES[connection.vendor].format(name))
    yield name
    connection.close()


@pytest.fixture
def connected_elsewhere(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every connection of the project is made in another zone, by its settings."""
    options: dict[str, Any] = dict(connection.settings_dict["OPTIONS"])
    if connection.vendor == "mysql":
        options["init_command"] = "SET time_zone = '+05:00'"
    else:
        options["options"] = "-c timezone=Asia/Karachi"
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    yield
    connection.close()


def assert_is_now(moment: datetime | None) -> None:
    assert moment is not None
    assert moment.tzinfo is not None
    assert abs(moment - timezone.now()) < 5 * SECOND


def assert_clock_is_right(host: ExecutorHost) -> None:
    assert_is_now(database_now("default"))
    ExecutorHost.objects.update(claimed_at=DatabaseNow())
    host.refresh_from_db()
    assert_is_now(host.claimed_at)
    Worker.objects.all().delete()
    Worker.objects.create(node="n", process_id=1, started_at=DatabaseNow(), heartbeat_at=DatabaseNow())
    assert Worker.objects.alive().count() == 1
    Worker.objects.update(heartbeat_at=timezone.now() - timedelta(seconds=60))
    assert Worker.objects.alive().count() == 0
    assert Worker.objects.dead().count() == 1


def test_what_the_clock_writes_and_compares_is_now_in_any_zone(zone: str, host: ExecutorHost) -> None:
    assert_clock_is_right(host)


@pytest.mark.skipif(settings.TEST_DATABASE == "sqlite", reason="SQLite has no time zone")
def test_the_clock_is_right_where_every_connection_is_made_in_another_zone(
    connected_elsewhere: None, host: ExecutorHost
) -> None:
    assert_clock_is_right(host)


@pytest.mark.parametrize("seconds", [-20, 20])
def test_promotion_keeps_to_the_second_in_any_zone(zone: str, seconds: int) -> None:
    job = queue_manager.queue_job(ContainerJob(command="true"), schedule_for=timezone.now() + timedelta(hours=1))
    ContainerJob.objects.filter(pk=job.pk).update(hold_until=timezone.now() + seconds * SECOND)
    assert due.promote("default") == (1 if seconds < 0 else 0)
    job.refresh_from_db()
    assert job.hold == (Hold.NONE if seconds < 0 else Hold.SCHEDULE)


def test_a_backoff_ends_when_it_says_in_any_zone(zone: str, host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(command="true")
    job.transition_to(Status.LAUNCHING)
    assert_is_now(job.launched_at)
    job.transition_to(Status.QUEUED, hold=Hold.BACKOFF, hold_until=DatabaseNow() + timedelta(seconds=20))
    assert job.hold_until is not None
    assert abs(job.hold_until - timezone.now() - 20 * SECOND) < 5 * SECOND
    assert due.promote("default") == 0


def test_an_unhealthy_host_is_left_alone_until_its_time_in_any_zone(zone: str, host: ExecutorHost) -> None:
    queue_manager.create_and_queue(command="true")
    worker = queue_manager.create_and_queue(command="true").pk
    for seconds, count in ((20, 0), (-20, 1)):
        ExecutorHost.objects.update(retry_at=timezone.now() + seconds * SECOND)
        assert len(claiming.claim(host, worker, queue="default", limit=1, using="default")) == count


def test_the_clock_moves_within_a_transaction() -> None:
    with transaction.atomic():
        first = database_now("default")
        time.sleep(0.005)
        assert database_now("default") > first
