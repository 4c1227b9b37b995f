"""``containers queue``, ``dequeue``, ``cancel``, ``retry``: for named jobs, and for all that match."""

from __future__ import annotations

import pytest

from container_manager import bulk, queue_manager
from container_manager.management import exits
from container_manager.models import ContainerJob, JobEvent
from container_manager.states import Status
from tests.cli.conftest import Containers

pytestmark = pytest.mark.django_db


def test_each_verb_does_what_it_says(containers: Containers) -> None:
    job = ContainerJob.objects.create(command="x", status="failed", outcome="app_error")
    for verb, status in (("retry", "queued"), ("dequeue", "pending"), ("queue", "queued"), ("cancel", "cancelled")):
        answer = containers(verb, str(job.pk)[-12:])
        job.refresh_from_db()
        assert (answer.code, answer.out, answer.err) == (exits.OK, f"{verb}: 1 done\n", "")
        assert job.status == status
    assert JobEvent.objects.get(job=job, verb="cancel").actor not in ("", "system")


def test_one_that_is_refused_or_not_there_does_not_keep_the_others(containers: Containers) -> None:
    queued = queue_manager.create_and_queue(command="true")
    done = ContainerJob.objects.create(command="x", status="completed")
    answer = containers("cancel", "ffffffffffff", str(done.pk), str(queued.pk))
    assert answer.code == exits.PARTIAL
    assert answer.out == "cancel: 1 done, 2 refused\n"
    assert str(done.pk) in answer.err
    assert "ffffffffffff" in answer.err
    queued.refresh_from_db()
    assert queued.status == Status.CANCELLED
    assert containers("dequeue", str(done.pk)).code == exits.REFUSED
    assert containers("dequeue", "ffffffffffff").code == exits.NOT_FOUND


def test_json_names_what_was_done_and_why_not(containers: Containers) -> None:
    queued = queue_manager.create_and_queue(command="true")
    done = ContainerJob.objects.create(command="x", status="completed")
    answer = containers("cancel", "--json", str(queued.pk), str(done.pk)).json["cancel"]
    assert answer["done"] == [{"id": str(queued.pk), "status": "cancelled"}]
    assert len(answer["refused"]) == 1


def test_all_that_match_are_changed_only_with_yes(containers: Containers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PAGE", 2)
    queue_manager.queue_jobs([ContainerJob(command="x", queue=name) for name in "aaaaabb"])
    ContainerJob.objects.create(command="x", queue="a", status="completed")
    answer = containers("cancel", "--all-matching", "--queue", "a")
    assert (answer.code, answer.out) == (exits.USAGE, "")
    assert "5 jobs" in answer.err
    assert not ContainerJob.objects.filter(status=Status.CANCELLED).exists()
    assert containers("cancel", "--all-matching", "--queue", "a", "--yes").out == "cancel: 5 done\n"
    assert ContainerJob.objects.filter(status=Status.CANCELLED).count() == 5
    assert containers("dequeue", "--all-matching", "--yes").out == "dequeue: 2 done\n"
    assert containers("queue", "--all-matching", "--status", "pending", "--yes").out == "queue: 2 done\n"


def test_neither_ids_nor_a_filter_alone_is_enough(containers: Containers) -> None:
    job = queue_manager.create_and_queue(command="true")
    for arguments in ([], ["--queue", "default"], [str(job.pk), "--all-matching"], [str(job.pk), "--queue", "other"]):
        assert containers("cancel", *arguments, "--yes").code == exits.USAGE
    job.refresh_from_db()
    assert job.status == Status.QUEUED


def test_a_long_change_tells_how_far_it_is(containers: Containers) -> None:
    queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(501)])
    answer = containers("cancel", "--all-matching", "--status", "queued", "--yes")
    assert (answer.code, answer.out) == (exits.OK, "cancel: 501 done\n")
    assert "500 done" in answer.err
