"""The per-minute statistics: what workers add, from any number of them, and what stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test import override_settings
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager import claiming, queue_manager, signals
from container_manager.executors.fake import Script
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, MinuteRollup
from container_manager.models.rollup import BUCKET_BOUNDS, OUTCOMES, RUN_BUCKETS, TOTAL, WAIT_BUCKETS
from container_manager.services.takeover import commit_takeover
from container_manager.worker import rollup, tallies
from container_manager.worker.rollup import KEEP, Rollup, add_counts

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
RETRY_SOON = {
    "first_delay": 0.01,
    "longest_delay": 0.02,
    "rules": [{"outcomes": ["app_error"], "retry": True}],
    "max_reruns": 1,
}


def totals(queue: str = "default") -> MinuteRollup:
    return MinuteRollup.objects.get(minute=TOTAL, queue=queue)


def outcomes(row: MinuteRollup) -> dict[str, int]:
    return {outcome.value: getattr(row, name) for outcome, name in OUTCOMES.items() if getattr(row, name)}


def test_a_worker_counts_how_jobs_ended_in_their_minute_and_in_all(
    host: ExecutorHost, drain: Callable[..., None]
) -> None:
    host.queues = ["default", "other"]
    host.save()
    for _ in range(3):
        queue_manager.create_and_queue(command=Script().command())
    queue_manager.create_and_queue(command=Script(exit_code=3).command())
    queue_manager.create_and_queue(command=Script(reason="oom", exit_code=137).command())
    queue_manager.create_and_queue(command=Script(create_error="image").command(), queue="other")
    drain()

    row = totals()
    assert (row.completed, row.failed, row.cancelled, row.retried) == (3, 2, 0, 0)
    assert outcomes(row) == {"ok": 3, "app_error": 1, "oom": 1}
    assert sum(getattr(row, name) for name in WAIT_BUCKETS) == 5
    assert sum(getattr(row, name) for name in RUN_BUCKETS) == 5
    assert 0 < row.wait_seconds < 300
    other = totals("other")
    assert (other.failed, outcomes(other), other.run_seconds) == (1, {"image_error": 1}, 0)
    minutes = MinuteRollup.objects.filter(minute__gt=TOTAL, queue="default")
    assert sum(minute.completed for minute in minutes) == 3
    for minute in minutes:
        assert (minute.minute.second, minute.minute.microsecond) == (0, 0)
        assert abs(timezone.now() - minute.minute) < timedelta(minutes=10)


def test_a_run_that_is_followed_by_another_is_a_retry_and_its_outcome_counts(
    host: ExecutorHost, drain: Callable[..., None]
) -> None:
    with override_settings(CONTAINER_MANAGER={"RETRY_POLICIES": {"once": RETRY_SOON}, "POLL_INTERVAL": 0.05}):
        queue_manager.create_and_queue(command=Script(exit_code=3).command(), retry_policy="once")
        drain()
    row = totals()
    assert (row.retried, row.failed, outcomes(row)) == (1, 1, {"app_error": 2})
    assert sum(getattr(row, name) for name in WAIT_BUCKETS) == 0, "its wait is not that of one launch"


def test_a_cancelled_job_is_counted_as_cancelled(host: ExecutorHost) -> None:
    statistics = Rollup("default")
    statistics.open()
    queue_manager.cancel_job(queue_manager.create_and_queue(command="x"))
    statistics.close()
    assert (totals().cancelled, outcomes(totals())) == (1, {"cancelled": 1})
    queue_manager.cancel_job(queue_manager.create_and_queue(command="x"))
    statistics.flush()
    assert totals().cancelled == 1, "closed, it no longer listens"


def test_waits_and_runs_fall_into_their_buckets() -> None:
    now = timezone.now().replace(microsecond=0)
    statistics = Rollup("default")
    statistics.open()
    job = ContainerJob.objects.create(
        command="x", status="running", queued_at=now - timedelta(seconds=700),
        scheduled_for=now - timedelta(seconds=600), launched_at=now - timedelta(seconds=560),
        started_at=now - timedelta(seconds=500),
    )  # fmt: skip
    job.mark_as_completed()
    statistics.close()
    row = totals()
    assert getattr(row, WAIT_BUCKETS[BUCKET_BOUNDS.index(100.0)]) == 1
    assert row.wait_seconds == pytest.approx(40)
    assert getattr(row, RUN_BUCKETS[BUCKET_BOUNDS.index(1_000.0)]) == 1
    assert row.run_seconds == pytest.approx(500, abs=30)


@pytest.mark.parametrize("number", [0, 5, len(BUCKET_BOUNDS) - 1])
def test_the_end_of_a_bucket_belongs_to_it(number: int) -> None:
    start = timezone.now().replace(microsecond=0) - timedelta(days=2)
    times = {"queued_at": start, "launched_at": start + timedelta(seconds=BUCKET_BOUNDS[number])}
    statistics = Rollup("default")
    statistics.open()
    for more in (0, 1):
        times["launched_at"] += timedelta(milliseconds=more)
        ContainerJob.objects.create(command="x", status="running", **times).mark_as_completed()
    statistics.close()
    row = totals()
    assert [getattr(row, name) for name in WAIT_BUCKETS[number : number + 2]] == [1, 1]
    assert sum(getattr(row, name) for name in RUN_BUCKETS) == 0, "they never started"


def test_what_ended_before_it_began_by_another_clock_took_no_time() -> None:
    now = timezone.now()
    statistics = Rollup("default")
    statistics.open()
    later = {"launched_at": now - timedelta(hours=1), "started_at": now + timedelta(hours=1)}
    ContainerJob.objects.create(command="x", status="running", queued_at=now, **later).mark_as_completed()
    statistics.close()
    row = totals()
    assert (row.wait_seconds, row.run_seconds) == (0, 0)
    assert (getattr(row, WAIT_BUCKETS[0]), getattr(row, RUN_BUCKETS[0])) == (1, 1)


def test_several_writers_at_once_lose_nothing() -> None:
    queues = [f"q{number}" for number in range(5)]
    minutes = (MINUTE, TOTAL)
    start, errors = Barrier(4), []

    def write() -> None:
        try:
            start.wait()
            for _ in range(25):
                add_counts({(minute, queue): {"completed": 1} for minute in minutes for queue in queues}, "default")
        except Exception as error:  # noqa: BLE001 - shown by the test
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert list(MinuteRollup.objects.values_list("completed", flat=True)) == [100] * 10


def test_what_the_database_did_not_take_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = Rollup("default")
    statistics.open()
    queue_manager.cancel_job(queue_manager.create_and_queue(command="x"))

    def fail(*_: Any) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as outage:
        outage.setattr(rollup, "add_counts", fail)
        with pytest.raises(OperationalError):
            statistics.flush()
    with monkeypatch.context() as outage:
        outage.setattr(tallies, "ends_of", fail)
        queue_manager.cancel_job(queue_manager.create_and_queue(command="x"))
        with pytest.raises(OperationalError):
            statistics.flush()
    statistics.close()
    assert totals().cancelled == 2


def test_a_job_that_ended_twice_between_two_looks_is_counted_twice() -> None:
    statistics = Rollup("default")
    statistics.open()
    job = ContainerJob.objects.create(command="x", status="failed", queued_at=timezone.now())
    for _ in range(2):
        queue_manager.retry_job(job)
        job.mark_as_failed("no")
    statistics.close()
    assert totals().failed == 2


def test_what_could_be_read_is_not_counted_when_the_rest_could_not(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = Rollup("default")
    statistics.open()
    queue_manager.cancel_job(queue_manager.create_and_queue(command="x"))
    ContainerJob.objects.create(command="x", status="running").mark_as_failed("no")

    def fail(*_: Any) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as outage:
        outage.setattr(tallies, "attempts_of", fail)
        with pytest.raises(OperationalError):
            statistics.flush()
    statistics.close()
    assert (totals().cancelled, totals().failed) == (1, 1)


def test_a_job_that_was_deleted_meanwhile_is_left_out() -> None:
    statistics = Rollup("default")
    statistics.open()
    job = queue_manager.cancel_job(queue_manager.create_and_queue(command="x"))
    job.delete()
    statistics.close()
    assert not MinuteRollup.objects.exists()


def test_an_idle_flush_asks_nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        Rollup("default").flush()


def test_old_minutes_go_and_totals_stay() -> None:
    now = timezone.now()
    for minute in (TOTAL, now - KEEP - timedelta(minutes=2), now - KEEP + timedelta(minutes=2)):
        MinuteRollup.objects.create(minute=minute, queue="default")
    statistics = Rollup("default")
    assert statistics.prune() == 1
    assert statistics.prune() == 0
    assert MinuteRollup.objects.count() == 2
    assert totals()


def test_a_job_moved_in_a_transaction_that_rolls_back_is_not_counted() -> None:
    statistics = Rollup("default")
    statistics.open()
    job = queue_manager.create_and_queue(command="x")
    with transaction.atomic():
        queue_manager.cancel_job(job)
        transaction.set_rollback(True)
    statistics.close()
    assert not MinuteRollup.objects.exists()


def test_a_rescue_is_told_by_its_signal_and_counted_without_the_attempts_end(host: ExecutorHost) -> None:
    seen: list[Any] = []

    def receive(job: ContainerJob, **_: Any) -> None:
        seen.append(job.pk)

    signals.job_rescued.connect(receive, sender=ContainerJob)
    statistics = Rollup("default")
    statistics.open()
    job = queue_manager.create_and_queue(command="x")
    claim = claiming.claim(host, uuid7(), queue="default", limit=1, using="default")[0]
    assert commit_takeover(JobAttempt.objects.get(pk=claim.attempt_id), uuid7(), "default", reason="It died.")
    signals.job_rescued.disconnect(receive, sender=ContainerJob)
    statistics.close()
    assert seen == [job.pk]
    assert totals().rescued == 1
    assert outcomes(totals()) == {}
