"""``containers hosts``, ``workers``, ``stats`` and ``check``."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from container_manager import queue_manager
from container_manager.hosts import node_name
from container_manager.management import exits
from container_manager.models import ContainerJob, ExecutorHost, Installation, JobAttempt, Worker
from tests.cli.conftest import Containers

pytestmark = pytest.mark.django_db


def test_hosts_are_drained_and_resumed(containers: Containers, process_host: ExecutorHost) -> None:
    assert "drained" in containers("hosts", "drain", "here").out
    process_host.refresh_from_db()
    assert not process_host.is_active
    assert containers("hosts", "resume", "here", "--json").json["hosts"][0]["is_active"]
    answer = containers("hosts", "drain", "nobody")
    assert (answer.code, "Known: here" in answer.err) == (exits.NOT_FOUND, True)
    assert containers("hosts", "drain").code == exits.USAGE


def test_workers_show_how_busy_they_are_and_whether_they_live(
    containers: Containers, process_host: ExecutorHost
) -> None:
    assert "No worker runs" in containers("workers").err
    now = timezone.now()
    live, dead = (
        Worker.objects.create(
            node="n", process_id=1, concurrency=4, started_at=now - age, heartbeat_at=now - age, hosts=[process_host.pk]
        )
        for age in (timedelta(), timedelta(hours=1))
    )
    job = ContainerJob.objects.create(command="x", status="running", attempt=1, worker=live.pk)
    JobAttempt.objects.create(
        job=job, active_job=job, number=1, host=process_host, worker=live.pk, launched_at=timezone.now()
    )
    rows = {row["id"]: row for row in containers("workers", "--json").json["workers"]}
    assert [rows[str(worker.pk)]["is_alive"] for worker in (live, dead)] == [True, False]
    assert [rows[str(worker.pk)]["active_jobs"] for worker in (live, dead)] == [1, 0]
    table = containers("workers").out
    assert "1/4" in table
    assert "dead" in table
    assert "1/20" in containers("hosts").out


def test_stats_are_the_queues_own(containers: Containers) -> None:
    queue_manager.create_and_queue(command="true")
    assert containers("stats", "--json").json["stats"] == {**queue_manager.get_queue_stats(), "queued": 1}
    assert "queued               1" in containers("stats").out


def test_check_reaches_each_engine_and_names_it(containers: Containers, process_host: ExecutorHost) -> None:
    answer = containers("check")
    assert answer.code == exits.OK
    host = next(row for row in containers("check", "--json").json["checks"] if row["what"].startswith("host here"))
    assert host["level"] == "ok"
    assert "engine " in host["finding"]
    assert "None runs" in answer.out


def test_check_says_that_another_engine_answers(containers: Containers, process_host: ExecutorHost) -> None:
    process_host.engine_id = "first-contact"
    process_host.save()
    answer = containers("check")
    assert answer.code == exits.ERROR
    assert "not first-contact" in answer.out


def test_check_finds_what_is_wrong_with_a_host(containers: Containers, process_host: ExecutorHost) -> None:
    ExecutorHost.objects.create(name="typo", executor_type="dokcer")
    ExecutorHost.objects.create(name="away", executor_type="process", node="elsewhere")
    ExecutorHost.objects.create(name="resting", executor_type="process", node=node_name(), is_active=False)
    answer = containers("check")
    assert answer.code == exits.ERROR
    assert "Did you mean 'docker'?" in answer.out
    levels = {row["what"]: row["level"] for row in containers("check", "--json").json["checks"]}
    assert levels["host typo (dokcer)"] == "fail"
    assert levels["host away (process)"] == "ok"
    assert levels["host resting (process)"] == "warn"


@override_settings(CONTAINER_MANAGER={"ALLOW_PROCESS_EXECUTOR": True, "POL_INTERVAL": 1})
def test_check_tells_of_wrong_settings_and_of_a_copied_database(containers: Containers) -> None:
    Installation.objects.create(identifier="abc", fingerprint="another machine's")
    answer = containers("check")
    assert answer.code == exits.ERROR
    assert "POLL_INTERVAL" in answer.out
    assert "containers installation" in answer.out
    assert containers("installation", "--json").json["installation"] == {"identifier": "abc", "is_in_place": False}
    assert containers("prune", "--orphans").code == exits.REFUSED


@override_settings(CONTAINER_MANAGER={"ALLOW_PROCESS_EXECUTOR": False}, DEBUG=False)
def test_check_says_how_to_add_the_first_host(containers: Containers) -> None:
    answer = containers("check")
    assert answer.code == exits.ERROR
    assert "ExecutorHost.objects.create" in answer.out
