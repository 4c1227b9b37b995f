"""The code of the cookbook's pages runs as it is printed."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import RequestFactory

from container_manager.models import ContainerJob, ExecutorHost, JobBatch
from tests.cookbook.pages import names_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_nightly_job_is_queued_once_however_often_cron_calls(
    host: ExecutorHost, drain: Callable[[], object]
) -> None:
    command = names_of("nightly.md")["Command"]
    said = []
    for _ in range(2):
        out = io.StringIO()
        command(stdout=out).execute(no_color=True, force_color=False, skip_checks=True)
        said.append(out.getvalue())
    job = ContainerJob.objects.get()
    assert said == [f"{job.pk} is queued\n"] * 2
    assert job.command[:2] == ["report", "--day"]
    drain()
    job.refresh_from_db()
    assert job.status == "completed"


def test_the_page_of_uploads_counts_to_the_end(host: ExecutorHost, drain: Callable[[], object]) -> None:
    names = names_of("uploads.md")
    request = RequestFactory().post("/", {"address": [f"https://example.com/{number}.jpg" for number in range(6)]})
    request.user = SimpleNamespace(get_username=lambda: "ada")  # type: ignore[assignment]
    assert names["publish"](request).status_code == 202
    batch = JobBatch.objects.get()
    assert (batch.on_complete, batch.max_running) == ("cookbook.uploads.album_ready", 4)
    assert set(batch.jobs.values_list("tenant", flat=True)) == {"ada"}
    before = names["progress"](RequestFactory().get("/"), batch.pk)
    assert b'"queued": 6' in before.content
    JobBatch.objects.update(on_complete="")  # no module of that name is there to be imported
    drain()
    after = names["progress"](RequestFactory().get("/"), batch.pk)
    assert b'"completed": 6' in after.content
