"""One job's page: what is shown of it, and what it lets whom do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from container_manager import queue_manager
from container_manager.admin.jobs.specification import MASK
from container_manager.models import ContainerJob, ExecutorHost, JobBatch, JobEvent
from tests.admin.jobs.conftest import Ran, err, out

pytestmark = pytest.mark.django_db

QUERIES = 20


def page(client: Client, job: ContainerJob, **query: str) -> Any:
    return client.get(f"/admin/container_manager/containerjob/{job.pk}/change/", query)


def buttons(response: Any) -> set[str]:
    return {button.action for button in response.context["buttons"]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", {"queue", "cancel", "set_priority", "delete"}),
        ("queued", {"dequeue", "cancel", "set_priority", "delete"}),
        ("launching", {"cancel", "set_priority"}),
        ("running", {"cancel", "set_priority"}),
        ("failed", {"retry", "delete"}),
        ("completed", {"delete"}),
        ("cancelled", {"delete"}),
    ],
)
def test_the_buttons_are_what_the_state_and_the_user_allow(
    boss: Client, client_of: Callable[..., Client], status: str, expected: set[str]
) -> None:
    job = ContainerJob.objects.create(command="true", status=status)
    assert buttons(page(boss, job)) == expected
    assert buttons(page(client_of("view_containerjob"), job)) == set()


def test_a_job_that_was_asked_to_stop_is_not_asked_again(boss: Client) -> None:
    job = ContainerJob.objects.create(command="true", status="running")
    queue_manager.cancel_job(job, actor="ada")
    shown = page(boss, job)
    assert "cancel" not in buttons(shown)
    assert b"stopping" in shown.content


def test_it_says_why_a_job_waits_and_how_it_came_so_far(boss: Client) -> None:
    ExecutorHost.objects.create(name="blade", executor_type="fake")
    job = queue_manager.create_and_queue(command="true", queue="nowhere")
    shown = page(boss, job)
    assert "nowhere" in shown.context["waits"]
    assert [(step.label, step.is_open) for step in shown.context["steps"]] == [
        ("Created", False), ("Queued", False), ("Waiting", True)
    ]  # fmt: skip


def test_a_failure_shows_its_cause_and_its_last_lines(boss: Client, ran: Ran) -> None:
    output = [out(b"loading\n"), err(b"no space left\n")]
    attempt = ran(output, status="failed", exit_code=3, outcome="app_error", error="Exit code 3.")
    shown = page(boss, attempt.job)
    assert shown.context["tab"] == "logs"
    assert b"no space left" in shown.content
    assert b"exit code 3" in shown.content
    error_tab = page(boss, attempt.job, tab="error")
    assert [line.line.text for line in error_tab.context["last_lines"]] == ["loading", "no space left"]


def test_without_the_permission_no_output_is_shown_anywhere(client_of: Callable[..., Client], ran: Ran) -> None:
    attempt = ran([out(b"top secret output\n")], status="failed", error="it failed")
    client = client_of("view_containerjob")
    for tab in ("", "logs", "error", "specification", "events"):
        shown = page(client, attempt.job, tab=tab)
        assert shown.status_code == 200
        assert b"top secret output" not in shown.content
        assert "logs" not in dict(shown.context["tabs"])


def test_values_that_look_like_secrets_are_masked(boss: Client) -> None:
    job = ContainerJob.objects.create(
        command="true",
        environment={"API_TOKEN": "hunter2", "DB_PASSWORD": "hunter3", "MODE": "fast"},
        secrets={"DEPLOY_KEY": "vault:deploy"},
    )
    shown = page(boss, job, tab="specification").content.decode()
    assert f"API_TOKEN={MASK}" in shown
    assert "MODE=fast" in shown
    assert "DEPLOY_KEY" in shown
    for hidden in ("hunter2", "hunter3", "vault:deploy"):
        assert hidden not in shown


def test_events_say_who_did_what(boss: Client) -> None:
    job = ContainerJob.objects.create(command="true")
    queue_manager.queue_job(job, actor="ada")
    shown = page(boss, job, tab="events")
    assert [(event.verb, actor) for event, actor in shown.context["events"]] == [("queue", "ada")]


def test_a_job_of_a_batch_says_how_far_the_batch_is(boss: Client) -> None:
    batch = JobBatch.objects.create(name="night", total=2)
    ContainerJob.objects.create(command="true", status="completed", batch=batch)
    job = ContainerJob.objects.create(command="true", batch=batch)
    shown = page(boss, job).content.decode()
    assert f"?batch={batch.pk}" in shown
    assert "1 of 2 completed, 0 failed" in shown
    listing = boss.get("/admin/container_manager/containerjob/", {"batch": str(batch.pk)}).context["listing"]
    assert len(listing.rows) == 2


def test_a_part_refreshes_alone(boss: Client) -> None:
    job = ContainerJob.objects.create(command="true", name="a")
    for part in ("summary", "tab"):
        shown = boss.get(
            f"/admin/container_manager/containerjob/{job.pk}/change/?part={part}", headers={"HX-Request": "true"}
        )
        assert shown.status_code == 200
        assert b"<html" not in shown.content


@pytest.mark.parametrize("status", ["running", "failed", "completed"])
def test_a_page_costs_a_bounded_number_of_queries(boss: Client, ran: Ran, status: str) -> None:
    job = ran([out(b"x\n" * 1000)], status=status, error="bad").job
    JobEvent.objects.bulk_create(JobEvent(job=job, verb="note", actor="system") for _ in range(300))
    for tab in ("logs", "specification", "events", "error"):
        with CaptureQueriesContext(connection) as queries:
            page(boss, job, tab=tab)
        assert len(queries) <= QUERIES, [query["sql"] for query in queries]


def test_a_job_that_is_not_there_is_not_found(boss: Client) -> None:
    for identifier in ("00000000-0000-7000-8000-000000000000", "none"):
        assert boss.get(f"/admin/container_manager/containerjob/{identifier}/change/").status_code == 404


@pytest.mark.parametrize("tail", ["change/", "edit/", "delete/", "log/", "log/download/"])
def test_a_reader_changes_nothing(client_of: Callable[..., Client], tail: str) -> None:
    job = ContainerJob.objects.create(command="true")
    client = client_of("view_containerjob")
    answer = client.post(f"/admin/container_manager/containerjob/{job.pk}/{tail}", {"command": "false", "post": "yes"})
    assert answer.status_code == 403 or tail == "change/"
    assert client.post("/admin/container_manager/containerjob/add/", {"command": "x"}).status_code == 403
    assert list(ContainerJob.objects.values_list("command", "status")) == [("true", "pending")]
