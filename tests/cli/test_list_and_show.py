"""Finding jobs and looking at one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from container_manager import queue_manager
from container_manager.describing import short_id
from container_manager.management import exits
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt
from tests.cli.conftest import Containers

pytestmark = pytest.mark.django_db


def names(containers: Containers, *arguments: str) -> list[str]:
    return [job["name"] for job in containers("list", "--json", *arguments).json["jobs"]]


def test_every_filter_narrows_and_values_of_one_are_alternatives(
    containers: Containers, process_host: ExecutorHost
) -> None:
    queue_manager.create_and_queue(command="x", name="a", queue="media", labels={"team": "v", "tier": "1"})
    queue_manager.create_and_queue(command="x", name="b", queue="text", labels={"team": "v"})
    ContainerJob.objects.create(command="x", name="c", queue="media", labels={"team": "a"})
    failed = ContainerJob.objects.create(command="x", name="d", status="failed", outcome="oom")
    for number in (1, 2):
        JobAttempt.objects.create(job=failed, number=number, host=process_host, launched_at=timezone.now())

    assert names(containers) == ["d", "c", "b", "a"]
    assert names(containers, "--queue", "media") == ["c", "a"]
    assert names(containers, "--queue", "media", "--queue", "text", "--status", "queued") == ["b", "a"]
    assert names(containers, "--label", "team=v") == ["b", "a"]
    assert names(containers, "--label", "team=v", "--label", "tier=1") == ["a"]
    assert names(containers, "--label", "team=1") == []
    assert names(containers, "--outcome", "oom", "--host", "here") == ["d"]
    assert names(containers, "--host", "elsewhere") == []


def test_texts_exit_codes_and_dates_narrow_too(containers: Containers) -> None:
    ContainerJob.objects.create(command="make report", name="a", status="failed", exit_code=3, error="Disk full.")
    ContainerJob.objects.create(command="make report", name="b", created_at=timezone.now() - timedelta(days=2))
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    assert sorted(names(containers, "--search", "REPORT")) == ["a", "b"]
    for arguments in (
        ["--search", "disk"], ["--error", "Disk full."], ["--exit-code", "3"], ["--created-after", yesterday],
        ["--finished-after", yesterday],
    ):  # fmt: skip
        assert names(containers, *arguments) == ["a"]
    assert names(containers, "--created-before", yesterday) == ["b"]
    assert names(containers, "--finished-before", yesterday) == []


def test_it_says_when_there_is_more_than_it_shows(containers: Containers) -> None:
    ContainerJob.objects.bulk_create([ContainerJob(command="true", name=f"j{number}") for number in range(23)])
    answer = containers("list")
    assert len(answer.out.splitlines()) == 21
    assert "--all" in answer.err
    assert "j22: true" in answer.out.splitlines()[1]
    whole = containers("list", "--all")
    assert (len(whole.out.splitlines()), whole.err) == (24, "")
    assert len(names(containers, "--limit", "3")) == 3
    assert "No job matches" in containers("list", "--queue", "none").err


def test_a_jobs_own_text_neither_breaks_a_line_nor_reaches_the_terminal_as_a_command(containers: Containers) -> None:
    job = ContainerJob.objects.create(
        command=["sh", "-c", "one\ntwo"], name="evil\x1b[31m[bold]\r", environment={"A": "x\ny"}
    )
    table, page = containers("list").out, containers("show", str(job.pk)).out
    assert len(table.splitlines()) == 2
    for text in (table, page):
        assert "\x1b" not in text
        assert r"evil\x1b[31m[bold]\r" in text
        assert r"sh -c 'one\ntwo'" in text
    assert r"A=x\ny" in page


def test_secrets_are_never_shown(containers: Containers) -> None:
    job = ContainerJob.objects.create(command="true", secrets={"password": "hunter2"})
    for arguments in (["list", "--json"], ["list"], ["show", str(job.pk)], ["show", str(job.pk), "--json"]):
        assert "hunter2" not in containers(*arguments).out


def test_a_job_is_found_by_the_beginning_or_the_end_of_its_id(containers: Containers) -> None:
    job = ContainerJob.objects.create(command="true", name="findme")
    text = str(job.pk)
    for fragment in (text, job.pk.hex, text[-12:], text[-20:], job.pk.hex[-20:], text[:30], job.pk.hex[:31], text[-9:]):
        assert "findme" in containers("show", fragment).out, fragment
        assert "findme" in containers("show", fragment.upper()).out, fragment
    others = ContainerJob.objects.bulk_create([ContainerJob(command="true") for _ in range(3)])
    answer = containers("show", text[:4])
    assert answer.code == exits.NOT_FOUND
    assert all(short_id(other.pk) in answer.err for other in [job, *others])
    assert containers("show", short_id(job.pk)[:8], "--json").json["job"]["id"] == str(job.pk)
    for nothing in ("ffffffffffff", "not-an-id", "", "%"):
        assert containers("show", nothing).code == exits.NOT_FOUND


def test_show_has_everything_about_a_job(containers: Containers, process_host: ExecutorHost) -> None:
    job = queue_manager.create_and_queue(
        command=["echo", "a b"], name="nightly", image="busybox", environment={"A": "1", "B": "2"}, memory_limit=64,
        cpu_limit=0.5, timeout_seconds=9, labels={"team": "x"}, working_directory="/srv", user="nobody",
    )  # fmt: skip
    start = timezone.now()
    JobAttempt.objects.create(
        job=job, number=1, host=process_host, execution_id="0123456789abcdef", launched_at=start, started_at=start,
        finished_at=start + timedelta(seconds=75), exit_code=7, outcome="app_error", error="Exit code 7.",
    )  # fmt: skip
    page = containers("show", str(job.pk)).out
    for fact in (
        str(job.pk), "nightly", "queued", "echo 'a b'", "busybox", "A=1\n", "B=2\n", "memory 64 MiB", "cpu 0.5 cores",
        "time 9 s", "team=x", "/srv", "nobody", "0 of 3 failed", "here", "1 min", "0123456789ab", "app_error",
    ):  # fmt: skip
        assert fact in page, fact
    shown = containers("show", str(job.pk), "--json").json["job"]
    assert shown["environment"] == {"A": "1", "B": "2"}
    assert [(a["number"], a["host"], a["exit_code"]) for a in shown["attempts"]] == [(1, "here", 7)]
    assert [event["verb"] for event in shown["events"]] == ["queue"]
    assert shown["waits"]
    assert shown["created_at"].endswith("Z")


def test_max_retries_of_zero_is_said_to_be_never_ready(containers: Containers) -> None:
    job = queue_manager.create_and_queue(command="true", max_retries=0)
    page = containers("show", str(job.pk)).out
    assert "never becomes ready" in page
    assert "no launch left: max_retries is 0" in page
