"""One job through each face: all the others see the same of it, before and after it has run."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from container_manager import queue_manager
from container_manager.models import ContainerJob
from container_manager.task_backend.compat import task_backends
from tests.task_backend import tasks
from tests.task_backend.conftest import Drain, drain, signals_file

__all__ = ["drain", "signals_file"]
pytestmark = pytest.mark.django_db(transaction=True)
COMMAND = ["echo", "shouting hi"]


def containers(*arguments: str) -> Any:
    out = io.StringIO()
    call_command("containers", *arguments, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def browser() -> Client:
    """A superuser's session: for the pages, and for the API."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def by_python(_: Client) -> str:
    return str(queue_manager.queue_job(ContainerJob.objects.create(command=COMMAND)).pk)


def by_command_line(_: Client) -> str:
    return str(containers("run", "--json", *COMMAND)["job"]["id"])


def by_rest(client: Client) -> str:
    body = {"command": COMMAND, "is_queued": True}
    return str(client.post("/api/v1/jobs/", body, content_type="application/json").json()["id"])


def by_django_tasks(_: Client) -> str:
    return str(tasks.shout.enqueue("hi").id)


def seen_by_each_face(job_id: str, client: Client) -> dict[str, tuple[str, int | None, str]]:
    """Status, exit code and output, as each face tells them."""
    job = ContainerJob.objects.get(pk=job_id)
    shown = containers("show", job_id, "--json")["job"]
    rest = client.get(f"/api/v1/jobs/{job_id}/").json()
    logs = client.get(f"/api/v1/jobs/{job_id}/logs/", headers={"Accept": "text/plain"}).content.decode()
    printed = io.StringIO()
    if job.attempt:
        call_command("containers", "logs", job_id, stdout=printed)
    return {
        "python": (job.status, job.exit_code, job.output()),
        "command line": (shown["status"], shown["exit_code"], printed.getvalue()),
        "rest": (rest["status"], rest["exit_code"], logs),
    }


def page_of(job_id: str, client: Client) -> str:
    return client.get(f"/admin/container_manager/containerjob/{job_id}/change/").content.decode().lower()


def numbers(client: Client) -> list[Any]:
    return [
        queue_manager.get_queue_stats(),
        containers("stats", "--json")["stats"],
        containers("top", "--json")["top"]["stats"],
        client.get("/api/v1/stats/").json(),
    ]


def counted(client: Client, name: str, **labels: str) -> float:
    text = client.get("/queue/metrics").content.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


@pytest.mark.parametrize("create", [by_python, by_command_line, by_rest, by_django_tasks])
def test_every_face_sees_what_another_has_made(create: Callable[[Client], str], browser: Client, drain: Drain) -> None:
    job_id = create(browser)
    assert set(seen_by_each_face(job_id, browser).values()) == {("queued", None, "")}
    assert "queued" in page_of(job_id, browser)
    queued = {"queued": 1, "scheduled": 0, "running": 0, "launch_failed": 0}
    assert all(stats == queued for stats in numbers(browser))
    assert counted(browser, "cm_jobs", state="queued") == 1

    drain()
    faces = seen_by_each_face(job_id, browser)
    assert len(set(faces.values())) == 1, faces
    status, exit_code, output = faces["python"]
    assert (status, exit_code, "shouting hi\n" in output) == ("completed", 0, True)
    assert "completed" in page_of(job_id, browser)
    assert all(stats == {**queued, "queued": 0} for stats in numbers(browser))
    assert counted(browser, "cm_jobs", state="queued") == 0
    assert counted(browser, "cm_jobs_finished_total", status="completed") == 1
    if create is by_django_tasks:
        assert task_backends["printing"].get_result(job_id).return_value == "HI"
