"""An agenda has each kind of work, in one statement; an idle worker asks for nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from container_manager import conf, queue_manager
from container_manager.handlers import outbox
from container_manager.models import ContainerJob, ExecutorHost, JobBatch, Place
from container_manager.worker import WorkerLoop, WorkerOptions, claimer, health, loop, pace
from container_manager.worker.agenda import Agenda, AgendaReader

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING = Agenda(
    ready=frozenset(), is_promotion_due=False, is_expiry_due=False, is_call_due=False, are_jobs_waiting=False,
    are_places_left=False, is_batch_ended=False, is_attempt_open=False, next_due_seconds=None,
)  # fmt: skip


def read(host: ExecutorHost | None = None) -> Agenda:
    with CaptureQueriesContext(connection) as captured:
        agenda = AgendaReader("default").read(["default", "other", "third"], [host.pk] if host else [])
    assert len(captured) == 1
    return agenda


def found(agenda: Agenda) -> dict[str, Any]:
    """What differs from an agenda without anything."""
    names = Agenda.__dataclass_fields__
    return {name: getattr(agenda, name) for name in names if getattr(agenda, name) != getattr(NOTHING, name)}


def test_without_work_there_is_nothing_on_it(fake_host: ExecutorHost) -> None:
    ContainerJob.objects.create(command="true")
    queue_manager.queue_job(ContainerJob(command="true", queue="elsewhere"))
    queue_manager.queue_job(ContainerJob(command="true", max_retries=0))
    assert found(read(fake_host)) == {}


def test_ready_jobs_are_on_it_by_their_queues() -> None:
    queue_manager.queue_jobs([ContainerJob(command="true", queue=queue) for queue in ("third", "default", "third")])
    assert found(read()) == {"ready": {"default", "third"}}


def test_a_held_job_is_on_it_with_its_moment_and_then_as_due() -> None:
    job = queue_manager.create_and_queue(command="true", schedule_for=timezone.now() + timedelta(seconds=1000))
    agenda = read()
    assert found(agenda).keys() == {"next_due_seconds"}
    assert agenda.next_due_seconds is not None
    assert 400 < agenda.next_due_seconds <= 1000
    ContainerJob.objects.filter(pk=job.pk).update(hold_until=timezone.now() - timedelta(seconds=1000))
    assert found(read()) == {"is_promotion_due": True}


def test_a_job_that_may_wait_no_longer_is_on_it() -> None:
    job = queue_manager.create_and_queue(command="true", queue="elsewhere", queue_timeout_seconds=1000)
    assert found(read()).keys() == {"next_due_seconds"}
    ContainerJob.objects.filter(pk=job.pk).update(expires_at=timezone.now() - timedelta(seconds=1000))
    assert found(read()) == {"is_expiry_due": True}


def test_a_call_that_is_owed_is_on_it() -> None:
    outbox.owe("default", "tests.handlers.told.queue_told", "unserved", "media")
    assert found(read()) == {"is_call_due": True}


def test_a_batch_whose_last_job_has_ended_is_on_it() -> None:
    batch = queue_manager.queue_batch([ContainerJob(command="true", queue="elsewhere")])
    assert found(read()) == {}
    queue_manager.cancel_batch(batch)
    assert found(read()) == {"is_batch_ended": True}
    JobBatch.objects.update(completed_at=timezone.now())
    assert found(read()) == {}


def test_jobs_that_a_limit_holds_and_places_to_give_back_are_on_it() -> None:
    job = queue_manager.create_and_queue(command="true", tenant="acme")
    assert found(read()) == {"are_jobs_waiting": True}
    Place.objects.create(job_id=uuid7(), queue="default", tenant="acme", lanes=[])
    assert found(read()) == {"are_jobs_waiting": True, "are_places_left": True}
    queue_manager.cancel_job(job)
    assert found(read()) == {"are_places_left": True}


def test_an_open_attempt_is_on_it_for_its_host_alone(fake_host: ExecutorHost) -> None:
    other = ExecutorHost.objects.create(name="other", executor_type="fake")
    queue_manager.create_and_queue(command="true")
    assert len(queue_manager.claim(fake_host, uuid7())) == 1
    assert found(read(fake_host)) == {"is_attempt_open": True}
    assert found(read(other)) == found(read()) == {}


class Counting(WorkerLoop):
    """Counts the statements of its own thread by what they were for, and stops after ``looks`` idle looks."""

    def __init__(self, looks: int) -> None:
        super().__init__(WorkerOptions(poll_interval=0.01))
        self.left = looks
        self.costs: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.intervals: dict[str, float] = {}

    def _every(self, what: str, seconds: float, do: Callable[[], object]) -> None:
        self.intervals[what] = seconds
        super()._every(what, seconds, lambda: self._count(what, do))

    def _count(self, what: str, do: Callable[[], Any]) -> Any:
        with CaptureQueriesContext(connection) as captured:
            answer = do()
        self.costs[what][len(captured)] += 1
        return answer

    def _look(self, *, moved: bool) -> bool:
        answer = bool(self._count("moved" if moved else "look", lambda: super(Counting, self)._look(moved=moved)))
        self.left -= not moved
        if self.left <= 0:
            self.request_stop()
        return answer


def test_an_idle_worker_asks_one_statement_a_look_and_little_else(fake_host: ExecutorHost) -> None:
    worker = Counting(looks=30)
    with override_settings(CONTAINER_MANAGER={"NOTIFY": False}):
        worker.run()
    assert worker.costs["look"] == {1: 30}
    assert worker.costs["rescue"] == {}, "no attempt is open"

    looks = 1 / (conf.get("POLL_INTERVAL") * (1 - pace.JITTER / 2))
    heartbeat, checks = 1 / conf.get("HEARTBEAT_INTERVAL"), 1 / health.CHECK_INTERVAL
    duties = sum(
        max(costs) / worker.intervals[what] for what, costs in worker.costs.items() if what in worker.intervals
    )
    assert heartbeat + checks + duties + looks <= 2, (duties, worker.costs)
    assert heartbeat + checks + duties + looks / loop.LISTENING_FACTOR <= 1, (duties, worker.costs)


def test_a_worker_whose_hands_stay_full_claims_on_without_asking_what_else_there_is(
    fake_host: ExecutorHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimer, "TRUSTED_SECONDS", 60.0)
    jobs = queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(40)])
    counts: Counter[str] = Counter()

    def count(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        counts["looks"] += sql.startswith("SELECT") and "hold_until" in sql and "next_try_at" in sql
        counts["claims"] += sql.startswith("UPDATE") and "claimed_at" in sql
        return execute(sql, parameters, many, context)

    worker = WorkerLoop(WorkerOptions(drain=True, concurrency=4))
    with connection.execute_wrapper(count):
        worker.run()
    full = len(jobs) // worker.options.concurrency
    assert counts["claims"] >= full
    assert 0 < counts["looks"] < counts["claims"], "most claims followed from the one before"
    assert set(ContainerJob.objects.values_list("status", flat=True)) == {"completed"}


@pytest.mark.parametrize(
    "what", sorted(set(Agenda.__dataclass_fields__) - {"ready", "is_attempt_open", "next_due_seconds"})
)
def test_an_agenda_with_more_than_ready_jobs_is_not_trusted_again(what: str) -> None:
    ready = replace(NOTHING, ready=frozenset({"default"}), is_attempt_open=True)
    assert ready.is_only_ready
    more: dict[str, Any] = {what: True}
    assert not replace(ready, **more).is_only_ready
