"""Of two moves of one job at one moment exactly one wins, and a claim holds up nobody but its own host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, connections, transaction
from uuid_utils.compat import uuid7

from container_manager import claiming, lifecycle, queue_manager
from container_manager.exceptions import InvalidTransitionError, QueueError
from container_manager.lifecycle import Subject
from container_manager.models import TABLES, ContainerJob, ExecutorHost, JobAttempt
from container_manager.states import Status, Verb
from tests.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]

ROUNDS = 15
WAITING = {
    "postgresql": (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ),
    "mysql": (
        "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist "
        "ON id = trx_mysql_thread_id WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()"
    ),
}


def at_once(*moves: Callable[[], Any]) -> list[Any]:
    """What each of ``moves`` returned or raised, each in a thread and a connection of its own, begun together."""
    together = threading.Barrier(len(moves))

    def run(move: Callable[[], Any]) -> Any:
        connection.ensure_connection()
        together.wait(timeout=30)
        try:
            return move()
        except (QueueError, IntegrityError) as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(moves)) as threads:
        return list(threads.map(run, moves))


def job_in(status: Status) -> ContainerJob:
    return ContainerJob.objects.create(command="true", status=status)


def is_anybody_waiting() -> bool:
    time.sleep(0.2)  # MariaDB shows the same again to those who ask more often than ten times a second
    with connection.cursor() as cursor:
        cursor.execute(WAITING[connection.vendor])
        return bool(cursor.fetchone()[0])


def again(job: ContainerJob) -> ContainerJob:
    """Another instance of the row."""
    return ContainerJob.objects.get(pk=job.pk)


@pytest.mark.parametrize(
    ("source", "first", "second"),
    [
        (Status.RUNNING, Status.COMPLETED, Status.FAILED),
        (Status.QUEUED, Status.PENDING, Status.CANCELLED),
        (Status.PENDING, Status.QUEUED, Status.QUEUED),
        (Status.FAILED, Status.QUEUED, Status.PENDING),
    ],
)
def test_of_two_moves_exactly_one_wins(source: Status, first: Status, second: Status) -> None:
    for _ in range(ROUNDS):
        job = job_in(source)
        one, other = again(job), again(job)
        answers = at_once(partial(one.transition_to, first), partial(other.transition_to, second))
        assert {type(answer) for answer in answers} == {type(None), InvalidTransitionError}, answers
        winner = first if answers[0] is None else second
        job.refresh_from_db()
        assert job.status == winner
        assert job.events.count() == 1


def test_two_who_queue_one_job_queue_it_once() -> None:
    for _ in range(ROUNDS):
        job = job_in(Status.PENDING)
        answers = at_once(
            partial(queue_manager.queue_job, again(job), priority=10), partial(queue_manager.queue_jobs, [again(job)])
        )
        assert sum(isinstance(answer, ValueError) for answer in answers) == 1, answers
        assert [event.verb for event in job.events.all()] == ["queue"]


def test_a_cancellation_and_a_claim_leave_one_story(host: ExecutorHost) -> None:
    for _ in range(ROUNDS):
        job = queue_manager.create_and_queue(command="true")
        cancelled, claims = at_once(
            partial(queue_manager.cancel_job, again(job)),
            partial(claiming.claim, host, uuid7(), queue="default", limit=1, using="default"),
        )
        job.refresh_from_db()
        assert isinstance(cancelled, ContainerJob), cancelled
        assert job.cancel_requested_at is not None
        if claims:
            assert job.status == Status.LAUNCHING
            assert JobAttempt.objects.get(active_job=job).stop_requested == "cancel"
            job.transition_to(Status.CANCELLED)
        else:
            assert job.status == Status.CANCELLED
            assert not job.attempts.exists()


def test_a_dequeued_job_is_not_launched_nor_a_launched_one_dequeued(host: ExecutorHost) -> None:
    for _ in range(ROUNDS):
        job = queue_manager.create_and_queue(command="true")
        dequeued, launched = at_once(
            partial(queue_manager.dequeue_job, again(job)), partial(queue_manager.launch_job, again(job))
        )
        job.refresh_from_db()
        is_launched = launched == {"success": True}
        assert isinstance(dequeued, QueueError) == is_launched
        assert job.status == (Status.RUNNING if is_launched else Status.PENDING)
        if is_launched:
            job.mark_as_completed()


def test_a_host_is_never_overfilled(host: ExecutorHost) -> None:
    ExecutorHost.objects.update(max_concurrent_jobs=7, memory_capacity=1000)
    host.refresh_from_db()
    queue_manager.queue_jobs([ContainerJob(command="true", memory_limit=150) for _ in range(30)])
    answers = at_once(
        *[partial(claiming.claim, host, uuid7(), queue="default", limit=3, using="default") for _ in range(4)]
    )
    taken = [claim.job.pk for claims in answers for claim in claims]
    assert len(taken) == len(set(taken)) == 6, "six of 150 MiB fit in 1,000"
    assert JobAttempt.objects.filter(active_job__isnull=False).count() == 6


def test_while_one_claim_is_open_another_host_takes_the_next_jobs(
    host: ExecutorHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer: the second claim waits for the first")
    other = ExecutorHost.objects.create(
        name="other", executor_type="fake", options=host.options, max_concurrent_jobs=50
    )
    jobs = queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(20)])
    has_written, may_commit = threading.Event(), threading.Event()
    slow, quick = uuid7(), uuid7()
    take = claiming._claims_of

    def take_and_wait(taken: Any, at: ExecutorHost, worker: UUID) -> Any:
        claims = take(taken, at, worker)
        if worker == slow:
            has_written.set()
            assert may_commit.wait(timeout=30)
        return claims

    monkeypatch.setattr(claiming, "_claims_of", take_and_wait)
    with ThreadPoolExecutor(1) as thread:

        def claim_slowly() -> list[UUID]:
            try:
                claims = claiming.claim(host, slow, queue="default", limit=5, using="default")
                return [claim.job.pk for claim in claims]
            finally:
                connections.close_all()

        first = thread.submit(claim_slowly)
        try:
            assert has_written.wait(timeout=30)
            second = claiming.claim(other, quick, queue="default", limit=5, using="default")
        finally:
            may_commit.set()
        assert first.result(timeout=30) == [job.pk for job in jobs[:5]]
    assert [claim.job.pk for claim in second] == [job.pk for job in jobs[5:10]]


@pytest.mark.skipif(settings.TEST_DATABASE == "sqlite", reason="SQLite has one writer, which waits for nobody")
def test_a_deadlock_with_somebody_else_is_tried_again() -> None:
    first, second = (job_in(Status.PENDING) for _ in range(2))
    others = [job_in(Status.PENDING).pk for _ in range(50)]
    has_locked = threading.Event()

    def cross() -> None:
        """Holds the second and wants the first; weighs more, so that the database ends the other side."""
        rows = ContainerJob.objects
        with transaction.atomic():
            rows.filter(pk__in=[*others, second.pk]).update(name="crossed")
            has_locked.set()
            wait_until(is_anybody_waiting, seconds=30, what="a lock that is waited for")
            rows.filter(pk=first.pk).update(name="crossed")

    def move() -> Any:
        assert has_locked.wait(timeout=30)
        subjects = [Subject(first.pk), Subject(second.pk)]
        return lifecycle.transition(TABLES, "default", subjects, to=Status.CANCELLED, verb=Verb.CANCEL)

    _, moved = at_once(cross, move)
    assert [subject.job_id for subject in moved] == [first.pk, second.pk]
    for job in (first, second):
        job.refresh_from_db()
        assert (job.status, job.name) == (Status.CANCELLED, "crossed")
        assert job.events.count() == 1


def test_a_group_of_which_some_were_moved_is_followed_as_far_as_it_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    stays, moves = job_in(Status.CANCELLED), job_in(Status.PENDING)
    heard: list[list[Any]] = []
    monkeypatch.setattr(lifecycle, "_followers", {})
    lifecycle.follow(lambda using, subjects, verb: heard.append([subject.job_id for subject in subjects]))
    with transaction.atomic():
        subjects = [Subject(stays.pk), Subject(moves.pk)]
        moved = lifecycle.transition(
            TABLES, "default", subjects, to=Status.CANCELLED, verb=Verb.CANCEL
        )  # fmt: skip
        assert ContainerJob.objects.count() == 2, "the caller's transaction goes on"
    assert [subject.job_id for subject in moved] == [moves.pk]
    assert [ids for ids in heard if ids] == [[moves.pk]]
