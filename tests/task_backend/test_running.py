"""Tasks run by a worker, each in a process of its own that shares only the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from container_manager import queue_manager
from container_manager.models import ContainerJob
from container_manager.task_backend import run as runner
from container_manager.task_backend.compat import TaskResultStatus, task_finished
from tests.processes import ending, spawn
from tests.task_backend import tasks
from tests.task_backend.conftest import Drain

pytestmark = pytest.mark.django_db(transaction=True)


def test_plain_and_coroutine_tasks_return_their_values(drain: Drain, signals_file: Path) -> None:
    plain, slow = tasks.add.enqueue(1, second=2), tasks.add_slowly.enqueue(3, 4)
    drain()
    for result, value in ((plain, 3), (slow, 7)):
        result.refresh()
        assert (result.status, result.return_value, result.errors) == (TaskResultStatus.SUCCESSFUL, value, [])
        assert result.attempts == 1
        assert result.started_at
        assert result.last_attempted_at
        assert result.finished_at
        assert ContainerJob.objects.get(pk=result.id).result == value
    assert sorted(signals_file.read_text().splitlines()) == ["finished SUCCESSFUL 1"] * 2 + ["started RUNNING 1"] * 2


def test_a_task_with_context_knows_its_attempt_and_its_id(drain: Drain) -> None:
    result = tasks.tell_attempt.enqueue("x")
    drain()
    result.refresh()
    assert result.return_value == [1, result.id, "x"]


def test_an_exception_comes_back_with_its_class_and_traceback(drain: Drain, signals_file: Path) -> None:
    raised, left, unstorable = tasks.fail.enqueue("too small"), tasks.leave.enqueue(0), tasks.give_a_set.enqueue()
    drain()
    for result, kind, text in (
        (raised, tasks.TooSmallError, "too small"),
        (left, SystemExit, "leave"),
        (unstorable, TypeError, "Unsupported type"),
    ):
        result.refresh()
        assert result.status == TaskResultStatus.FAILED
        assert [error.exception_class for error in result.errors] == [kind]
        assert "Traceback (most recent call last)" in result.errors[0].traceback
        assert text in result.errors[0].traceback
        with pytest.raises(ValueError, match="failed"):
            _ = result.return_value
    job = ContainerJob.objects.get(pk=raised.id)
    assert (job.status, job.exit_code, "TooSmallError: too small" in job.output()) == ("failed", 1, True)
    assert signals_file.read_text().count("finished FAILED") == 3


def test_a_failed_attempt_that_is_retried_leaves_its_error_and_no_finished_signal(
    drain: Drain, signals_file: Path
) -> None:
    result = tasks.succeed_at_last.enqueue(3)
    drain()
    result.refresh()
    assert (result.return_value, result.attempts, len(set(result.worker_ids))) == (3, 3, 3)
    assert [error.traceback.splitlines()[-1].rpartition(" ")[2] for error in result.errors] == ["1", "2"]
    assert [line for line in signals_file.read_text().splitlines() if "finished" in line] == ["finished SUCCESSFUL 3"]


def test_an_end_that_the_function_could_not_tell_is_an_error_and_is_announced_by_the_worker(drain: Drain) -> None:
    seen = []

    def receive(task_result: object, **_: object) -> None:
        seen.append(task_result)

    task_finished.connect(receive)
    try:
        result = tasks.vanish.enqueue()
        drain()
    finally:
        task_finished.disconnect(receive)
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    assert [error.exception_class.__name__ for error in result.errors] == ["JobFailedError"]
    assert "exit code 9" in result.errors[0].traceback
    assert seen == [result]


def test_a_database_session_that_was_lost_meanwhile_costs_no_result(drain: Drain) -> None:
    result = tasks.lose_the_database.enqueue()
    drain()
    result.refresh()
    assert result.return_value == "still told"


def test_results_travel_through_the_output_of_a_container_without_a_database(drain: Drain) -> None:
    spoken, failed = tasks.shout.enqueue("hi"), tasks.shout.enqueue("")
    for job in ContainerJob.objects.all():
        job.environment |= {"TEST_DATABASE": "postgres", "PGPORT": "1", "TEST_DATABASE_NAME": "none"}
        job.save()
    drain()
    spoken.refresh()
    failed.refresh()
    assert spoken.return_value == "HI"
    assert [error.exception_class for error in failed.errors] == [tasks.TooSmallError]
    assert "nothing to shout" in failed.errors[0].traceback


def test_a_clone_runs_itself_and_not_its_original(drain: Drain) -> None:
    result = tasks.tell_attempt.enqueue("x")
    copy = queue_manager.queue_job(queue_manager.clone_job(ContainerJob.objects.get(pk=result.id)))
    drain()
    assert tasks.tell_attempt.get_result(str(copy.pk)).return_value == [1, str(copy.pk), "x"]
    result.refresh()
    assert result.return_value == [1, result.id, "x"]


def test_the_runner_refuses_a_job_that_is_not_being_run() -> None:
    result = tasks.add.enqueue(1)
    process = spawn("-m", runner.__name__, result.id)
    with ending(process):
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "only a worker starts it" in output
