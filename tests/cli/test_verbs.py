"""Each verb of the command line, what it prints, and how it exits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from container_manager import queue_manager
from container_manager.management import exits
from container_manager.management.finding import short_id
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobLog
from container_manager.models.log import pack
from container_manager.specs import LogEntry, Stream
from container_manager.states import Status
from tests.cli.conftest import Answer

pytestmark = pytest.mark.django_db
Containers = Callable[..., Answer]


def with_output(job: ContainerJob, host: ExecutorHost, *entries: LogEntry) -> JobAttempt:
    attempt = JobAttempt.objects.create(job=job, number=1, host=host, launched_at=timezone.now(), log_sequence=1)
    JobLog.objects.create(attempt=attempt, sequence=0, data=b"".join(pack(entry) for entry in entries))
    return attempt


def test_run_queues_what_it_is_told(containers: Containers) -> None:
    answer = containers(
        "run", "--image", "busybox", "--name", "n", "--env", "A=b=c", "--label", "team=x", "--priority", "70",
        "--memory-limit", "64", "--in", "5m", "--", "sh", "-c", "exit 7",
    )  # fmt: skip
    job = ContainerJob.objects.get()
    assert (answer.code, answer.out.strip()) == (exits.OK, str(job.pk))
    assert (job.command, job.image, job.name, job.priority) == (["sh", "-c", "exit 7"], "busybox", "n", 70)
    assert (job.environment, job.labels, job.memory_limit) == ({"A": "b=c"}, {"team": "x"}, 64)
    assert (job.status, job.hold) == (Status.QUEUED, "schedule")


def test_a_wrong_job_is_refused_field_by_field(containers: Containers) -> None:
    answer = containers("run", "--priority", "101", "--memory-limit", "-1", "--", "true")
    assert answer.code == exits.REFUSED
    assert "priority:" in answer.err
    assert "memory_limit:" in answer.err
    assert not ContainerJob.objects.exists()


def test_list_filters_and_has_a_stable_json(containers: Containers) -> None:
    wanted = queue_manager.create_and_queue(command="true", queue="media", labels={"team": "video"})
    queue_manager.create_and_queue(command="true", labels={"team": "audio"})
    ContainerJob.objects.create(command="true", queue="media", labels={"team": "video"})
    listing = containers("list", "--queue", "media", "--status", "queued", "--label", "team=video", "--json").json
    assert listing["schema_version"] == 1
    assert [job["id"] for job in listing["jobs"]] == [str(wanted.pk)]
    assert "secrets" not in listing["jobs"][0]
    table = containers("list").out
    assert short_id(wanted.pk) in table
    assert "No job matches" in containers("list", "--queue", "none").err


def test_a_job_is_found_by_the_beginning_or_the_end_of_its_id(containers: Containers) -> None:
    job = ContainerJob.objects.create(command="true", name="findme")
    text = str(job.pk)
    for fragment in (text, job.pk.hex, text[-12:], text[-20:], job.pk.hex[-20:], text[:30], job.pk.hex[:31]):
        assert "findme" in containers("show", fragment).out, fragment
    ContainerJob.objects.bulk_create([ContainerJob(command="true") for _ in range(3)])
    answer = containers("show", text[:4])
    assert answer.code == exits.NOT_FOUND
    assert "could be several" in answer.err
    for nothing in ("ffffffffffff", "not-an-id"):
        assert containers("show", nothing).code == exits.NOT_FOUND


def test_show_tells_why_a_job_waits(containers: Containers, process_host: ExecutorHost) -> None:
    later = timezone.now() + timedelta(hours=1)
    ahead = queue_manager.create_and_queue(command="true")
    cases = [
        (ContainerJob.objects.create(command="true"), "not in the queue"),
        (queue_manager.create_and_queue(command="true", scheduled_for=later), "scheduled for"),
        (queue_manager.create_and_queue(command="true", max_retries=0), "no launch left"),
        (queue_manager.create_and_queue(command="true", queue="nowhere"), "No executor host serves"),
        (ahead, "No live worker"),
    ]
    for job, reason in cases:
        assert reason in containers("show", str(job.pk)).out
    process_host.is_active = False
    process_host.save()
    assert "drained" in containers("show", str(ahead.pk)).out
    assert "never becomes ready" in containers("show", str(cases[2][0].pk)).out
    assert containers("show", str(ahead.pk), "--json").json["job"]["waits"]


def test_logs_keep_the_streams_apart(containers: Containers, process_host: ExecutorHost) -> None:
    job = ContainerJob.objects.create(command="true", status=Status.COMPLETED)
    assert "no output" in containers("logs", str(job.pk)).err
    with_output(job, process_host, LogEntry(Stream.STDOUT, b"one\ntwo\n"), LogEntry(Stream.STDERR, b"bad \xff\x00\n"))
    answer = containers("logs", str(job.pk))
    assert answer.out == "one\ntwo\n"
    assert "bad" in answer.err
    assert containers("logs", str(job.pk), "--stream", "stdout", "--tail", "1").out == "two\n"
    assert containers("logs", str(job.pk), "--attempt", "7").code == exits.NOT_FOUND


def test_changes_say_what_was_done_and_what_was_refused(containers: Containers) -> None:
    queued, done = (
        queue_manager.create_and_queue(command="true"),
        ContainerJob.objects.create(command="x", status="completed"),
    )
    answer = containers("cancel", str(queued.pk), str(done.pk))
    assert answer.code == exits.PARTIAL
    assert "1 done, 1 refused" in answer.out
    assert str(done.pk) in answer.err
    assert containers("dequeue", str(done.pk)).code == exits.REFUSED
    failed = ContainerJob.objects.create(command="x", status="failed")
    assert containers("retry", str(failed.pk)).code == exits.OK
    failed.refresh_from_db()
    assert failed.status == Status.QUEUED
    assert containers("dequeue", str(failed.pk)).code == exits.OK
    assert containers("queue", str(failed.pk)).code == exits.OK


def test_all_that_match_are_changed_only_with_yes(containers: Containers) -> None:
    queue_manager.queue_jobs([ContainerJob(command="x", queue=name) for name in ("a", "a", "b")])
    answer = containers("cancel", "--all-matching", "--queue", "a")
    assert answer.code == exits.USAGE
    assert "2 jobs match" in answer.err
    assert containers("cancel", "--all-matching", "--queue", "a", "--yes").out == "cancel: 2 done\n"
    assert ContainerJob.objects.filter(status=Status.CANCELLED).count() == 2
    assert containers("cancel").code == exits.USAGE


def test_hosts_are_drained_and_resumed(containers: Containers, process_host: ExecutorHost) -> None:
    assert "drained" in containers("hosts", "drain", "here").out
    process_host.refresh_from_db()
    assert not process_host.is_active
    assert containers("hosts", "resume", "here", "--json").json["hosts"][0]["is_active"]
    assert containers("hosts", "drain", "nobody").code == exits.NOT_FOUND


def test_stats_and_workers(containers: Containers) -> None:
    queue_manager.create_and_queue(command="true")
    assert containers("stats", "--json").json["queued"] == 1
    assert "No worker runs" in containers("workers").err


def test_check_finds_what_is_wrong_with_a_host(containers: Containers, process_host: ExecutorHost) -> None:
    assert containers("check").code == exits.OK
    ExecutorHost.objects.create(name="typo", executor_type="dokcer")
    answer = containers("check")
    assert answer.code == exits.ERROR
    assert "Did you mean 'docker'?" in answer.out


@override_settings(CONTAINER_MANAGER={"RETENTION": {"completed": 60}})
def test_prune_deletes_what_is_old_enough_and_says_so_first(containers: Containers) -> None:
    old = timezone.now() - timedelta(hours=1)
    ContainerJob.objects.create(command="x", status="completed", finished_at=old)
    ContainerJob.objects.create(command="x", status="completed")
    ContainerJob.objects.create(command="x", status="failed", finished_at=old)
    assert "completed          1 to delete" in containers("prune", "--dry-run").out
    assert ContainerJob.objects.count() == 3
    assert "completed          1 deleted" in containers("prune").out
    assert ContainerJob.objects.count() == 2
