"""New jobs, copies, changes, and definitions run from their forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from container_manager import queue_manager
from container_manager.admin.jobs.specification import MASK
from container_manager.models import ContainerJob, JobEvent
from container_manager.states import Status

pytestmark = pytest.mark.django_db

ADMIN = "/admin/container_manager/containerjob/"
FORM = {"command": "echo 'a b'", "queue": "default", "priority": "50", "max_retries": "3", "on_lost": "fail"}


def only_job() -> ContainerJob:
    return ContainerJob.objects.get()


def errors(response: Any) -> dict[str, list[str]]:
    return dict(response.context["adminform"].form.errors)


def test_a_new_job_is_saved_as_it_was_typed(boss: Client) -> None:
    pairs = {"environment": "MODE=fast\n\nURL=http://x/?a=b", "labels": '{"team": "video"}'}
    answer = boss.post(f"{ADMIN}add/", {**FORM, **pairs, "scheduled_for": "2030-01-31T18:00"})
    job = only_job()
    assert answer["Location"] == f"{ADMIN}{job.pk}/change/"
    assert (job.command, job.environment, job.labels) == (
        "echo 'a b'", {"MODE": "fast", "URL": "http://x/?a=b"}, {"team": "video"}
    )  # fmt: skip
    assert job.scheduled_for is not None
    assert job.status == Status.PENDING


def test_a_new_job_is_queued_at_once_by_those_who_may(boss: Client, client_of: Callable[..., Client]) -> None:
    boss.post(f"{ADMIN}add/", {**FORM, "_queue": "1"})
    assert only_job().status == Status.QUEUED
    assert JobEvent.objects.get(verb="queue").actor == "boss"
    author = client_of("view_containerjob", "add_containerjob")
    assert author.post(f"{ADMIN}add/", {**FORM, "_queue": "1"}).status_code == 403
    assert ContainerJob.objects.count() == 1
    assert author.post(f"{ADMIN}add/", FORM).status_code == 302


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", "echo 'open"), ("environment", "no equals"), ("environment", "{"), ("environment", "[1]"),
        ("labels", "=x"), ("queue", "a b"), ("priority", "101"), ("memory_limit", "0"),
        ("retry_policy", "odd"), ("scheduled_for", "yesterday"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field(boss: Client, field: str, value: str) -> None:
    answer = boss.post(f"{ADMIN}add/", {**FORM, field: value})
    assert list(errors(answer)) == [field]
    assert not ContainerJob.objects.exists()


def test_a_copy_keeps_what_is_masked_and_what_no_form_shows(boss: Client) -> None:
    source = ContainerJob.objects.create(
        command=["echo", "a b"], status="completed", environment={"API_TOKEN": "hunter2", "MODE": "fast"},
        secrets={"KEY": "vault:x"}, definition="nightly", parameters={"a": 1}, tenant="acme", priority=80,
    )  # fmt: skip
    form = boss.get(f"{ADMIN}add/", {"clone": str(source.pk)})
    assert b"hunter2" not in form.content
    assert b"echo &#x27;a b&#x27;" in form.content
    changed = {**FORM, "environment": f"API_TOKEN={MASK}\nMODE=slow", "priority": "80"}
    boss.post(f"{ADMIN}add/?clone={source.pk}", changed)
    copy = ContainerJob.objects.exclude(pk=source.pk).get()
    assert copy.environment == {"API_TOKEN": "hunter2", "MODE": "slow"}
    assert (copy.secrets, copy.definition, copy.parameters, copy.tenant) == (
        {"KEY": "vault:x"}, "nightly", {"a": 1}, "acme"
    )  # fmt: skip
    assert (copy.status, copy.priority) == (Status.PENDING, 80)


def test_a_change_keeps_the_queue_and_says_who_made_it(boss: Client) -> None:
    job = queue_manager.create_and_queue(command="echo one", environment={"PASSWORD": "hunter2"})
    form = {**FORM, "command": "echo two", "environment": f"PASSWORD={MASK}"}
    assert boss.post(f"{ADMIN}{job.pk}/edit/", form)["Location"] == f"{ADMIN}{job.pk}/change/"
    job.refresh_from_db()
    assert (job.command, job.status, job.environment) == ("echo two", Status.QUEUED, {"PASSWORD": "hunter2"})
    event = JobEvent.objects.get(job=job, verb="note")
    assert (event.actor, event.message) == ("boss", "Changed: command.")


@pytest.mark.parametrize("status", ["launching", "running", "completed", "cancelled"])
def test_what_has_run_is_not_changed(boss: Client, status: str) -> None:
    job = ContainerJob.objects.create(command="echo one", status=status)
    assert boss.post(f"{ADMIN}{job.pk}/edit/", FORM).status_code == 403
    job.refresh_from_db()
    assert job.command == "echo one"


def test_a_definition_is_run_from_its_form(boss: Client) -> None:
    assert b"make_thumbnail" in boss.get(f"{ADMIN}run/").content
    form = {"width": "640", "height": "480", "title": "a b", "launch-priority": "70", "launch-schedule_for": ""}
    answer = boss.post(f"{ADMIN}run/make_thumbnail/", form)
    job = only_job()
    assert answer["Location"] == f"{ADMIN}{job.pk}/change/"
    assert (job.definition, job.status, job.priority) == ("make_thumbnail", Status.QUEUED, 70)
    assert job.parameters == {"width": 640, "height": 480, "title": "a b"}
    assert JobEvent.objects.get(verb="queue").actor == "boss"
    again = boss.get(f"{ADMIN}run/make_thumbnail/", {"clone": str(job.pk)})
    assert again.context["form"]["width"].value() == 640


def test_a_definition_with_a_file_is_run_from_its_form_and_again_with_the_same_file(
    boss: Client, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    page = f"{ADMIN}run/transcode/"
    assert b'enctype="multipart/form-data"' in boss.get(page).content
    form = {"height": "480", "mode": "good", "launch-priority": "70", "launch-schedule_for": ""}
    assert boss.post(page, form).context["form"].errors.keys() == {"video"}
    boss.post(page, {**form, "video": SimpleUploadedFile("film.mov", b"a film")})
    job = only_job()
    with job.files["video"].open() as video:
        assert video.read() == b"a film"
    boss.post(f"{page}?clone={job.pk}", form)
    again = ContainerJob.objects.exclude(pk=job.pk).get()
    assert again.parameters == job.parameters


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"width": "1"}, "width"),
        ({"width": "16", "height": "2160"}, "width"),
        ({"launch-priority": "101"}, ""),
    ],
)
def test_a_definition_s_form_says_what_is_wrong(boss: Client, changed: dict[str, str], name: str) -> None:
    form = {"width": "640", "height": "480", "title": "", "launch-priority": "50", **changed}
    answer = boss.post(f"{ADMIN}run/make_thumbnail/", form)
    assert list(answer.context["form"].errors) == ([name] if name else [])
    assert bool(answer.context["launch"].errors) is not bool(name)
    assert not ContainerJob.objects.exists()


def test_running_a_definition_takes_both_permissions(client_of: Callable[..., Client]) -> None:
    for permission in ("add_containerjob", "launch_containerjob"):
        client = client_of("view_containerjob", permission)
        assert client.get(f"{ADMIN}run/").status_code == 403
        assert client.post(f"{ADMIN}run/make_thumbnail/", {"width": "640"}).status_code == 403
    assert not ContainerJob.objects.exists()


def test_there_is_no_page_for_a_definition_that_is_not_there(boss: Client) -> None:
    assert boss.get(f"{ADMIN}run/odd/").status_code == 404


def test_a_variable_that_looks_like_a_credential_is_saved_with_a_warning(boss: Client) -> None:
    answer = boss.post(f"{ADMIN}add/", {**FORM, "environment": "API_TOKEN=planted-value"}, follow=True)
    assert only_job().environment == {"API_TOKEN": "planted-value"}
    [warning] = [str(message) for message in answer.context["messages"] if message.level_tag == "warning"]
    assert warning.startswith("API_TOKEN: looks like a credential.")
    assert "planted-value" not in answer.content.decode()
    template = {"name": "shared", "environment": '{"DATABASE_URL": "postgres://me:planted-value@db/x"}'}
    answer = boss.post("/admin/container_manager/environmenttemplate/add/", template, follow=True)
    [warning] = [str(message) for message in answer.context["messages"] if message.level_tag == "warning"]
    assert warning.startswith("DATABASE_URL: looks like a credential.")
