"""``containers run``: what becomes of its arguments. What it waits for is in ``test_processes``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from container_manager.management import exits
from container_manager.models import ContainerJob
from container_manager.states import Status
from tests.cli.conftest import Containers

pytestmark = pytest.mark.django_db


def test_it_queues_what_it_is_told(containers: Containers) -> None:
    answer = containers(
        "run", "--image", "busybox", "--name", "n", "--env", "A=b=c", "--label", "team=x", "--priority", "70",
        "--queue", "media", "--memory-limit", "64", "--cpu-limit", "0.5", "--timeout", "9", "--max-retries", "1",
        "--retry-policy", "on_failure", "--workdir", "/srv", "--user", "nobody",
        "--network", "none", "--in", "5m", "--", "sh", "-c", "exit 7",
    )  # fmt: skip
    job = ContainerJob.objects.get()
    assert (answer.code, answer.out.strip()) == (exits.OK, str(job.pk))
    assert (job.command, job.image, job.name, job.priority) == (["sh", "-c", "exit 7"], "busybox", "n", 70)
    assert (job.environment, job.labels, job.queue) == ({"A": "b=c"}, {"team": "x"}, "media")
    assert (job.memory_limit, job.cpu_limit, job.timeout_seconds) == (64, 0.5, 9)
    assert (job.max_retries, job.retry_policy) == (1, "on_failure")
    assert (job.working_directory, job.user, job.network) == ("/srv", "nobody", "none")
    assert (job.status, job.hold) == (Status.QUEUED, "schedule")
    assert job.scheduled_for is not None
    assert abs(job.scheduled_for - timezone.now() - timedelta(minutes=5)) < timedelta(seconds=30)


def test_what_is_not_told_is_as_the_model_has_it(containers: Containers) -> None:
    given = containers("run", "--json", "true").json["job"]
    fresh = ContainerJob()
    for name in ("priority", "queue", "max_retries", "retry_policy", "memory_limit", "scheduled_for", "image"):
        assert given[name] == getattr(fresh, name)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["ls", "-l", "--wait"], ["ls", "-l", "--wait"]),
        (["--", "ls", "-l"], ["ls", "-l"]),
        (["git", "log", "--", "a file"], ["git", "log", "--", "a file"]),
        (["--", "git", "log", "--", "a file"], ["git", "log", "--", "a file"]),
        (["--shell", "--", "echo $A | wc"], "echo $A | wc"),
        (["--image", "alpine"], []),
    ],
)
def test_all_after_the_program_is_the_programs(
    containers: Containers, arguments: list[str], command: str | list[str]
) -> None:
    assert containers("run", *arguments).code == exits.OK
    assert ContainerJob.objects.get().command == command


def test_variables_come_from_files_from_arguments_and_from_here(
    containers: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLI_TEST_TOKEN", "secret = x")
    file = tmp_path / "variables"
    file.write_text("# a comment\nA=from the file\n\nB= kept as it is \nCLI_TEST_TOKEN\n")
    assert containers("run", "--env-file", str(file), "--env", "A=argument", "true").code == exits.OK
    assert ContainerJob.objects.get().environment == {
        "A": "argument", "B": " kept as it is ", "CLI_TEST_TOKEN": "secret = x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--env", "CLI_TEST_UNSET"], "CLI_TEST_UNSET"),
        (["--env-file", "no-such-file"], "cannot be read"),
        (["--in", "5 minutes"], "30s, 5m"),
        (["--in", "²s"], "30s, 5m"),
        (["--at", "tomorrow"], "2030-01-31T18:00"),
        (["--at", "2030-02-31T18:00"], "2030-02-31"),
        (["--label", "x"], "NAME=VALUE"),
        (["--wait-timeout", "-1"], "above 0"),
        (["--in", "1s", "--at", "2030-01-31T18:00"], "not allowed with"),
    ],
)
def test_wrong_arguments_are_a_usage_error_that_says_what_is_right(
    containers: Containers, arguments: list[str], complaint: str
) -> None:
    with pytest.raises(CommandError, match=complaint):
        containers("run", *arguments, "true")
    assert not ContainerJob.objects.exists()


def test_a_time_without_a_zone_is_in_the_projects(containers: Containers) -> None:
    with timezone.override("Asia/Tokyo"):
        containers("run", "--at", "2031-01-31T18:00", "true")
    containers("run", "--at", "2031-01-31T18:00+01:00", "true")
    times = ContainerJob.objects.order_by("pk").values_list("scheduled_for", flat=True)
    assert list(times) == [datetime(2031, 1, 31, 9, tzinfo=UTC), datetime(2031, 1, 31, 17, tzinfo=UTC)]


def test_a_wrong_job_is_refused_field_by_field(containers: Containers) -> None:
    answer = containers("run", "--priority", "101", "--memory-limit", "-1", "--", "true")
    assert answer.code == exits.REFUSED
    assert "priority:" in answer.err
    assert "memory_limit:" in answer.err
    assert "command:" in containers("run").err
    assert not ContainerJob.objects.exists()


def test_a_variable_that_looks_like_a_credential_is_queued_with_a_warning(
    containers: Containers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("container_manager.credentials._told", set())
    answer = containers("run", "--env", "API_TOKEN=planted-value", "true")
    assert answer.code == exits.OK
    assert answer.err.startswith("API_TOKEN looks like a credential.")
    assert "planted-value" not in answer.err
    assert "API_TOKEN" not in caplog.text, "said once"
