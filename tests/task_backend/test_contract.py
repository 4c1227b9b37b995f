"""What Django asks of a task backend, up to the moment at which a task is run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.checks import run_checks
from django.db import transaction
from django.utils import timezone

from container_manager import queue_manager
from container_manager.models import ContainerJob
from container_manager.states import Status
from container_manager.task_backend import ContainerTaskBackend
from container_manager.task_backend.calls import job_priority
from container_manager.task_backend.compat import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultStatus,
    task_backends,
    task_enqueued,
)
from tests.task_backend import tasks

pytestmark = pytest.mark.django_db
UNKNOWN_ID = "01890000-0000-7000-8000-000000000000"


def test_every_feature_flag_is_set() -> None:
    backend = task_backends["default"]
    assert isinstance(backend, ContainerTaskBackend)
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority


def test_an_enqueued_task_is_a_queued_job_and_a_ready_result() -> None:
    result = tasks.add.enqueue(1, second=2)
    job = ContainerJob.objects.get(pk=result.id)
    assert (job.status, job.queue, job.priority, job.name) == ("queued", "default", 50, "tests.task_backend.tasks.add")
    assert job.command[-3:] == ["-m", "container_manager.task_backend.run", result.id]
    assert (result.status, result.args, result.kwargs) == (TaskResultStatus.READY, [1], {"second": 2})
    assert (result.enqueued_at, result.backend, result.attempts, result.errors) == (job.queued_at, "default", 0, [])
    assert (result.started_at, result.finished_at, result.is_finished) == (None, None, False)
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value


def test_queue_priority_and_run_after_reach_the_job_and_come_back() -> None:
    later = timezone.now() + timedelta(hours=1)
    result = tasks.add.using(queue_name="gpu", priority=33, run_after=later).enqueue(1)
    job = ContainerJob.objects.get(pk=result.id)
    assert (job.queue, job.priority, job.scheduled_for, job.hold) == ("gpu", 66, later, "schedule")
    known = tasks.add.get_result(result.id).task
    assert (known.queue_name, known.priority, known.run_after) == ("gpu", 33, later)


def test_priorities_keep_their_order_and_their_ends() -> None:
    mapped = [job_priority(priority) for priority in range(-100, 101)]
    assert mapped == sorted(mapped)
    assert (mapped[0], mapped[100], mapped[-1]) == (0, 50, 100)


def test_a_more_urgent_task_is_ready_first() -> None:
    usual, urgent = tasks.add.enqueue(1), tasks.add.using(priority=100).enqueue(2)
    assert [str(job.pk) for job in queue_manager.get_ready_jobs()] == [urgent.id, usual.id]


def test_a_task_belongs_to_the_callers_transaction() -> None:
    class UndoError(Exception):
        pass

    def enqueue_and_undo() -> str:
        with transaction.atomic():
            undone.append(tasks.add.enqueue(1).id)
            raise UndoError

    undone: list[str] = []
    with pytest.raises(UndoError):
        enqueue_and_undo()
    with pytest.raises(TaskResultDoesNotExist):
        tasks.add.get_result(undone[0])


def test_the_enqueued_signal_has_the_result() -> None:
    seen: list[Any] = []

    def receive(sender: object, task_result: object, **_: object) -> None:
        seen.append((sender, task_result))

    task_enqueued.connect(receive)
    try:
        result = tasks.add.enqueue(1)
    finally:
        task_enqueued.disconnect(receive)
    assert seen == [(ContainerTaskBackend, result)]


@pytest.mark.parametrize(
    "value", [object(), {1}, float("nan"), float("inf"), "a\0b", "\ud800", b"\xff"], ids=lambda value: repr(value)[:12]
)
def test_arguments_that_cannot_be_stored_are_refused_and_nothing_is_queued(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        tasks.echo.enqueue(value)
    assert not ContainerJob.objects.exists()


def test_arguments_that_only_look_like_nul_are_kept() -> None:
    result = tasks.echo.enqueue("a\\u0000b", [1, {"two": None}], b"bytes")
    assert tasks.echo.get_result(result.id).args == ["a\\u0000b", [1, {"two": None}], "bytes"]


@pytest.mark.parametrize(
    "change",
    [
        {"priority": 101},
        {"priority": -101},
        {"queue_name": "unknown"},
        {"run_after": datetime(2030, 1, 1)},  # noqa: DTZ001 - naive on purpose
    ],
    ids=str,
)
def test_a_wrong_task_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask):
        tasks.add.using(**change)


def test_a_queue_that_no_job_can_have_is_refused_where_any_queue_is_allowed(settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": []}}
    assert tasks.add.using(queue_name="whatever").enqueue(1)
    with pytest.raises(InvalidTask, match="queue's name"):
        tasks.add.using(queue_name="no such queue!")


def test_only_functions_of_a_module_are_tasks() -> None:
    backend = task_backends["default"]
    with pytest.raises(InvalidTask, match="module"):
        backend.task_class(func=lambda: None)

    def script() -> None: ...

    script.__module__, script.__qualname__ = "__main__", "script"
    with pytest.raises(InvalidTask, match="script"):
        backend.task_class(func=script)


def test_a_coroutine_and_a_task_under_another_name_are_enqueued() -> None:
    result = async_to_sync(tasks.add_slowly.aenqueue)(1, 2)
    assert tasks.add_slowly.get_result(result.id) == result
    other = tasks.under_another_name.enqueue("x")
    assert tasks.under_another_name.get_result(other.id).task.func is tasks.later_a_task


@pytest.mark.parametrize("result_id", ["", "x", UNKNOWN_ID, "1" * 64])
def test_an_unknown_id_is_no_result(result_id: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(result_id)


def test_neither_another_job_nor_another_backends_task_is_a_result() -> None:
    job = ContainerJob.objects.create(command="true")
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(str(job.pk))
    result = tasks.shout.enqueue("hi")
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(result.id)


def test_a_cancelled_task_has_failed_and_says_why() -> None:
    result = tasks.add.enqueue(1)
    queue_manager.cancel_job(ContainerJob.objects.get(pk=result.id))
    result.refresh()
    assert (result.status, result.is_finished) == (TaskResultStatus.FAILED, True)
    assert [error.exception_class.__name__ for error in result.errors] == ["JobFailedError"]
    assert "cancelled" in result.errors[0].traceback


def test_with_results_by_output_the_call_travels_with_the_container() -> None:
    result = tasks.shout.enqueue("hi")
    assert "CM_TASK" in ContainerJob.objects.get(pk=result.id).environment
    with pytest.raises(InvalidTask, match="reference"):
        tasks.shout.enqueue("x" * 100_001)
    assert ContainerJob.objects.get().status == Status.QUEUED


def test_options_reach_the_job(settings: Any) -> None:
    options = {"image": "app:1", "memory_limit": 512, "timeout_seconds": 60, "environment": {"A": "b"}}
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}
    job = ContainerJob.objects.get(pk=tasks.add.enqueue(1).id)
    assert (job.image, job.memory_limit, job.timeout_seconds, job.environment["A"]) == ("app:1", 512, 60, "b")
    assert (job.command[0], job.working_directory) == ("python", "")
    assert job.environment["DJANGO_SETTINGS_MODULE"] == "tests.settings"


@pytest.mark.parametrize(
    ("options", "identifier"),
    [
        ({"imagee": "x"}, "container_manager.E020"),
        ({"results": "post"}, "container_manager.E021"),
        ({"memory_limit": -1}, "container_manager.E022"),
    ],
)
def test_wrong_options_are_an_error_of_the_system_check(
    settings: Any, options: dict[str, Any], identifier: str
) -> None:
    assert not [message for message in run_checks() if message.id and message.id.startswith("container_manager.E02")]
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}
    assert identifier in [message.id for message in run_checks()]
