"""``containers prune``: by age, and executions that nobody owns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.test import override_settings
from django.utils import timezone

from container_manager.executors import Executor
from container_manager.management import exits
from container_manager.models import ContainerJob, ExecutorHost, Installation, JobAttempt
from container_manager.services import executor_for
from container_manager.specs import Handle, JobSpec
from container_manager.worker import retention
from tests.cli.conftest import Containers
from tests.processes import wait_until

pytestmark = pytest.mark.django_db


@override_settings(CONTAINER_MANAGER={"RETENTION": {"completed": 60}})
def test_what_is_old_enough_goes_and_a_dry_run_only_counts(
    containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr("container_manager.management.verbs.prune.BATCH", 2)
    old = timezone.now() - timedelta(hours=1)
    for status in ("completed", "completed", "completed", "failed"):
        ContainerJob.objects.create(command="x", status=status, finished_at=old)
    ContainerJob.objects.create(command="x", status="completed")
    assert "completed          3 to delete" in containers("prune", "--dry-run").out
    assert containers("prune", "--dry-run", "--json").json["old"] == {"completed": 3}
    assert ContainerJob.objects.count() == 5
    answer = containers("prune")
    assert "completed          3 deleted" in answer.out
    assert answer.err == "2 completed\n"
    assert ContainerJob.objects.count() == 2


@override_settings(CONTAINER_MANAGER={"RETENTION": None})
def test_without_a_retention_all_is_kept(containers: Containers) -> None:
    ContainerJob.objects.create(command="x", status="completed", finished_at=timezone.now() - timedelta(days=999))
    assert "everything is kept" in containers("prune").err
    assert ContainerJob.objects.count() == 1


@pytest.fixture
def executor(process_host: ExecutorHost) -> Iterator[Executor]:
    executor = executor_for(process_host, Installation.current("default").identifier)
    yield executor
    for seen in executor.observe():
        executor.stop(seen.handle, 0)
    wait_until(lambda: all(seen.state != "running" for seen in executor.observe()), what="the end of what was started")


def launch(executor: Executor, *command: str, job_id: UUID | None = None) -> Handle:
    spec = JobSpec(installation=executor.installation, job_id=job_id or uuid4(), attempt=1, command=command)
    handle = executor.create(spec)
    executor.start(handle)
    return handle


def test_orphans_are_ended_and_removed_and_what_is_owned_is_not(
    containers: Containers, executor: Executor, process_host: ExecutorHost
) -> None:
    orphan = launch(executor, "sleep", "60")
    job = ContainerJob.objects.create(command="x", status="running", attempt=1)
    JobAttempt.objects.create(job=job, active_job=job, number=1, host=process_host, launched_at=timezone.now())
    owned = launch(executor, "sleep", "60", job_id=job.pk)

    dry = containers("prune", "--orphans", "--dry-run")
    assert orphan.name in dry.out
    assert "running" in dry.out
    assert len(executor.observe()) == 2
    answer = containers("prune", "--orphans", "--now", "--json")
    assert answer.code == exits.OK
    assert [(row["execution"], row["state"]) for row in answer.json["orphans"]] == [(orphan.name, "removed")]
    assert [seen.handle.name for seen in executor.observe()] == [owned.name]


@override_settings(CONTAINER_MANAGER={"ALLOW_PROCESS_EXECUTOR": True, "ORPHAN_GRACE_SECONDS": 0.2})
def test_without_now_an_orphan_has_the_grace_of_the_setting(containers: Containers, executor: Executor) -> None:
    launch(executor, "true")
    answer = containers("prune", "--orphans")
    assert "still in 0.2 s" in answer.err
    assert "removed" in answer.out
    assert executor.observe() == []
    assert "no orphan" in containers("prune", "--orphans").err


def test_a_host_that_does_not_answer_is_named_and_the_others_are_done(
    containers: Containers, executor: Executor
) -> None:
    ExecutorHost.objects.create(name="typo", executor_type="dokcer")
    orphan = launch(executor, "true")
    answer = containers("prune", "--orphans", "--now")
    assert answer.code == exits.PARTIAL
    assert "typo: " in answer.err
    assert orphan.name in answer.out
