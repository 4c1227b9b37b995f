"""A job's files on its page, and one of them from its storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from container_manager.models import ContainerJob, JobFile

pytestmark = pytest.mark.django_db
JOB = "/admin/container_manager/containerjob/{}/"


@pytest.fixture
def media(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def add_file(job: ContainerJob, name: str, content: bytes = b"<script>alert(1)</script>", **fields: Any) -> JobFile:
    stored = default_storage.save(f"files/{name}", ContentFile(content))
    values = {"attempt": 1, "direction": "output", "size": len(content), "sha256": "ab" * 32, **fields}
    return JobFile.objects.create(
        job=job, name=name, path=f"deep/{name}.html", storage="default", stored_name=stored, **values
    )


def shown(client: Client, job: ContainerJob) -> Any:
    return client.get(JOB.format(job.pk) + "change/", {"tab": "files"})


def fetch(client: Client, job: ContainerJob, file: JobFile, **options: Any) -> Any:
    return client.get(JOB.format(job.pk) + f"file/{file.pk}/", **options)


@pytest.mark.usefixtures("media")
def test_inputs_and_the_outputs_of_each_attempt_are_listed_with_size_and_checksum(boss: Client) -> None:
    job = ContainerJob.objects.create(command="true", status="completed", attempt=2)
    assert "files" not in dict(shown(boss, job).context["tabs"])
    add_file(job, "photo", attempt=0, direction="input", size=2_000_000)
    add_file(job, "first")
    add_file(job, "second", attempt=2)
    add_file(job, "unfinished", attempt=2, is_ready=False)
    page = shown(boss, job)
    groups = [(group.title, [file.name for file in group.files]) for group in page.context["file_groups"]]
    assert groups == [
        ("Inputs", ["photo"]), ("Outputs of attempt 2", ["second"]), ("Outputs of attempt 1", ["first"])
    ]  # fmt: skip
    text = page.content.decode()
    assert "1.9\xa0MB" in text
    assert "abababababab…" in text


@pytest.mark.usefixtures("media")
def test_a_file_is_downloaded_and_never_shown_as_a_page(boss: Client) -> None:
    job = ContainerJob.objects.create(command="true", status="completed", attempt=1)
    answer = fetch(boss, job, add_file(job, "report"))
    assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"
    assert answer["Content-Disposition"] == 'attachment; filename="report.html"'
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
    answer.close()


def test_a_file_that_its_storage_lost_is_said_to_be_lost(boss: Client, media: Path) -> None:
    job = ContainerJob.objects.create(command="true", status="completed", attempt=1)
    file = add_file(job, "report")
    (media / file.stored_name).unlink()
    assert "does not give this file out" in fetch(boss, job, file, follow=True).content.decode()


@pytest.mark.usefixtures("media")
def test_what_is_in_a_file_is_for_those_who_may_read_output(client_of: Callable[..., Client], boss: Client) -> None:
    job = ContainerJob.objects.create(command="true", status="completed", attempt=1)
    other = ContainerJob.objects.create(command="true")
    file, unfinished = add_file(job, "report"), add_file(job, "half", is_ready=False)
    reader = client_of("view_containerjob")
    page = shown(reader, job).content.decode()
    assert "report" in page
    assert f"file/{file.pk}/" not in page
    assert fetch(reader, job, file).status_code == 403
    assert fetch(boss, other, file).status_code == 404
    assert fetch(boss, job, unfinished).status_code == 404
