"""A key is held by one unfinished job at a time, whoever asks for it at the same moment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction

from container_manager import queue_manager
from container_manager.exceptions import DuplicateJobError, JobValidationError, QueueError
from container_manager.models import ContainerJob
from container_manager.states import Status

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "transcode:7"


def keyed(key: str = KEY, **fields: Any) -> ContainerJob:
    return ContainerJob(command="true", unique_key=key, **fields)


def queued(**arguments: Any) -> ContainerJob:
    return queue_manager.queue_job(keyed(), **arguments)


@pytest.mark.parametrize("status", [Status.PENDING, Status.QUEUED, Status.LAUNCHING, Status.RUNNING])
def test_an_unfinished_job_holds_its_key(status: Status) -> None:
    holder = ContainerJob.objects.create(command="true", unique_key=KEY, status=status)
    job = keyed()
    with pytest.raises(DuplicateJobError, match=f"Job {holder.pk} holds the key '{KEY}' and is {status}") as refused:
        queue_manager.queue_job(job)
    assert (refused.value.key, refused.value.holder) == (KEY, holder)
    assert isinstance(refused.value, QueueError | ValueError)
    assert (job.status, job.queued_at, job._state.adding) == (Status.PENDING, None, True)
    assert ContainerJob.objects.count() == 1


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_every_end_gives_the_key_back(status: Status) -> None:
    holder = ContainerJob.objects.create(command="true", unique_key=KEY, status=Status.RUNNING)
    holder.transition_to(status)
    assert queued().status == Status.QUEUED
    holder.refresh_from_db()
    assert holder.unique_key == KEY, "what its key was can still be read"


def test_a_refusal_leaves_the_callers_transaction_usable() -> None:
    holder = queued()
    with transaction.atomic():
        with pytest.raises(DuplicateJobError):
            queued()
        with pytest.raises(DuplicateJobError):
            keyed().save()
        with pytest.raises(DuplicateJobError):
            queue_manager.create_and_queue(command="true", unique_key=KEY)
        with pytest.raises(DuplicateJobError):
            queue_manager.queue_jobs([ContainerJob(command="true"), keyed()])
        assert queue_manager.create_and_queue(command="true").status == Status.QUEUED
    assert ContainerJob.objects.count() == 2
    assert queue_manager.queue_job(keyed(), on_conflict="return") == holder


def test_return_gives_the_job_that_is_there_and_makes_none() -> None:
    holder = queued()
    assert queued(on_conflict="return") == holder
    assert ContainerJob.objects.count() == 1
    assert queue_manager.create_and_queue(command="true", unique_key="another", on_conflict="return") != holder


def test_replace_cancels_a_job_that_waits() -> None:
    holder = queued()
    successor = queued(on_conflict="replace")
    holder.refresh_from_db()
    assert (holder.status, successor.status) == (Status.CANCELLED, Status.QUEUED)
    assert holder.events.last().message == f"Replaced by job {successor.pk}."  # type: ignore[union-attr]
    again = queued(on_conflict="replace")
    assert list(queue_manager.get_ready_jobs()) == [again]


def test_replace_interrupts_no_job_that_was_launched() -> None:
    holder = ContainerJob.objects.create(command="true", unique_key=KEY, status=Status.RUNNING)
    with pytest.raises(DuplicateJobError, match="is running"):
        queued(on_conflict="replace")
    holder.refresh_from_db()
    assert (holder.status, holder.cancel_requested_at) == (Status.RUNNING, None)


def test_a_replacement_that_is_rolled_back_leaves_the_job_that_was_there() -> None:
    holder = queued()
    with transaction.atomic():
        queued(on_conflict="replace")
        transaction.set_rollback(True)
    holder.refresh_from_db()
    assert holder.status == Status.QUEUED
    with pytest.raises(DuplicateJobError):
        queued()


def test_a_failed_job_needs_its_key_again_to_be_retried_or_dequeued() -> None:
    failed = ContainerJob.objects.create(command="true", unique_key=KEY, status=Status.FAILED)
    holder = queued()
    with pytest.raises(DuplicateJobError):
        queue_manager.retry_job(failed)
    with pytest.raises(DuplicateJobError):
        queue_manager.queue_jobs([failed])
    with pytest.raises(DuplicateJobError):
        queue_manager.dequeue_job(failed)
    assert ContainerJob.objects.get(pk=failed.pk).status == Status.FAILED
    queue_manager.cancel_job(holder)
    failed.refresh_from_db()
    queue_manager.retry_job(failed)
    with pytest.raises(DuplicateJobError):
        queued()


def test_a_job_keeps_its_key_through_the_queue_and_out_of_it() -> None:
    job = keyed()
    job.save()
    queue_manager.queue_job(job)
    queue_manager.dequeue_job(job)
    with pytest.raises(DuplicateJobError):
        queued()


def test_keys_that_some_databases_take_for_equal_are_not() -> None:
    for key in ("a", "A", "á", "a ", "\N{FULLWIDTH LATIN SMALL LETTER A}"):
        queue_manager.queue_job(keyed(key))
    assert queue_manager.get_ready_jobs().count() == 5


def test_one_key_twice_in_a_list_is_refused_and_none_is_queued() -> None:
    with pytest.raises(DuplicateJobError):
        queue_manager.queue_jobs([keyed(), keyed()])
    assert not ContainerJob.objects.exists()
    queue_manager.queue_jobs([keyed(str(number)) for number in range(3)])
    assert queue_manager.get_ready_jobs().count() == 3


def test_a_changed_key_is_the_one_that_is_held() -> None:
    job = queued()
    job.unique_key = "another"
    job.save()
    queued()
    with pytest.raises(DuplicateJobError, match="holds the key 'another'"):
        queue_manager.queue_job(keyed("another"))
    job.unique_key = KEY
    with pytest.raises(DuplicateJobError):
        job.save()


@pytest.mark.parametrize("key", ["", "x" * 201, "nul\0", 7])
def test_a_key_that_cannot_be_one_is_named(key: Any) -> None:
    with pytest.raises(JobValidationError) as refused:
        queue_manager.queue_job(keyed(key))
    assert list(refused.value.message_dict) == ["unique_key"]


def test_an_unknown_answer_to_a_conflict_is_refused() -> None:
    with pytest.raises(ValueError, match="give one of raise, return, replace"):
        queued(on_conflict="ignore")
    assert not ContainerJob.objects.exists()


def test_a_clone_has_no_key() -> None:
    assert queue_manager.clone_job(queued()).unique_key is None


@pytest.mark.races
@pytest.mark.parametrize("on_conflict", ["raise", "return", "replace"])
def test_of_many_who_ask_at_once_one_holds_the_key(on_conflict: str) -> None:
    def ask(number: int) -> str:
        try:
            job = queue_manager.queue_job(keyed(name=str(number)), on_conflict=on_conflict)  # type: ignore[arg-type]
        except DuplicateJobError:
            return "refused"
        else:
            return "own" if job.name == str(number) else "another's"
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        answers = Counter(threads.map(ask, range(24)))
    assert ContainerJob.objects.filter(status=Status.QUEUED).count() == 1
    if on_conflict == "replace":
        assert answers["own"] + answers["refused"] == 24
        assert ContainerJob.objects.filter(status=Status.CANCELLED).count() == answers["own"] - 1
    else:
        assert answers == {"own": 1, "refused" if on_conflict == "raise" else "another's": 23}
        assert ContainerJob.objects.count() == 1
