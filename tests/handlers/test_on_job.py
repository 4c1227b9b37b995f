"""A handler is told of every event it asked for, in a worker, and of nothing that was rolled back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from container_manager import queue_manager
from container_manager.exceptions import ConfigurationError
from container_manager.executors.fake import Script
from container_manager.handlers import on_job
from container_manager.models import ContainerJob, ExecutorHost, HandlerCall
from container_manager.states import Status
from tests.handlers import told

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_handler_is_called_once_for_each_completed_job(host: ExecutorHost, drain: Callable[[], None]) -> None:
    on_job("completed")(told.told)
    jobs = queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(5)])
    drain()
    assert told.calls() == {job.pk.hex: 1 for job in jobs}
    assert set(HandlerCall.objects.values_list("state", "tries")) == {("delivered", 1)}


def test_only_the_events_that_were_asked_for_are_told(host: ExecutorHost, drain: Callable[[], None]) -> None:
    on_job("failed", "cancelled")(told.told)
    good, bad = queue_manager.queue_jobs([
        ContainerJob(command=Script(exit_code=exit_code).command()) for exit_code in (0, 3)
    ])  # fmt: skip
    drain()
    unwanted = queue_manager.cancel_job(queue_manager.create_and_queue(command="true"))
    drain()
    assert told.calls() == {bad.pk.hex: 1, unwanted.pk.hex: 1}
    assert good.pk.hex not in told.calls()


def test_finished_stands_for_every_end() -> None:
    on_job("finished")(told.told)
    for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED):
        ContainerJob.objects.create(command="true", status=Status.RUNNING).transition_to(status)
    assert sorted(HandlerCall.objects.values_list("event", flat=True)) == ["cancelled", "completed", "failed"]


def test_a_queue_and_a_definition_narrow_what_is_told() -> None:
    on_job("cancelled", queue="media")(told.told)
    on_job("cancelled", definition="video.Transcode")(told.told_too)
    plain = ContainerJob.objects.create(command="true")
    media = ContainerJob.objects.create(command="true", queue="media")
    both = ContainerJob.objects.create(command="true", queue="media", definition="video.Transcode")
    for job in (plain, media, both):
        queue_manager.cancel_job(job)
    rows = {(call.handler.rpartition(".")[2], call.job_id) for call in HandlerCall.objects.all()}
    assert rows == {("told", media.pk), ("told", both.pk), ("told_too", both.pk)}


def test_a_handler_with_two_matching_rules_is_called_once() -> None:
    on_job("cancelled")(told.told)
    on_job("cancelled", queue="default")(told.told)
    queue_manager.cancel_job(ContainerJob.objects.create(command="true"))
    assert HandlerCall.objects.count() == 1


def test_a_rolled_back_event_is_told_to_nobody() -> None:
    on_job("queued")(told.told)
    with transaction.atomic():
        queue_manager.create_and_queue(command="true")
        assert HandlerCall.objects.count() == 1
        transaction.set_rollback(True)
    assert HandlerCall.objects.count() == 0


def test_an_event_that_nobody_handles_costs_no_statement() -> None:
    on_job("completed")(told.told)
    queue_manager.create_and_queue(command="true")
    with CaptureQueriesContext(connection) as queries:
        queue_manager.create_and_queue(command="true")
    assert not [query for query in queries if "handlercall" in query["sql"]]
    assert len(queries) <= 4, [query["sql"] for query in queries]


def test_a_handler_that_a_worker_could_not_find_again_is_refused() -> None:
    def inner(job: ContainerJob) -> None:
        """Has no name that leads to it."""

    with pytest.raises(ConfigurationError, match="function of a module"):
        on_job("completed")(inner)
    with pytest.raises(ConfigurationError, match="knows no event 'complete'; use queued"):
        on_job("complete")
    with pytest.raises(ConfigurationError, match="knows no event"):
        on_job()
