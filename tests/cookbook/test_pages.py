"""The code of the cookbook's pages runs as it is printed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import RequestFactory

from container_manager import registry
from container_manager.executors.fake import engine
from container_manager.models import ContainerJob, ExecutorHost, JobBatch
from container_manager.worker import WorkerLoop, WorkerOptions

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = Path(__file__).resolve().parents[2] / "docs" / "cookbook"


@pytest.fixture(autouse=True)
def no_other_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a page defines is gone after its test."""
    monkeypatch.setattr(registry, "_definitions", dict(registry._definitions))


@pytest.fixture
def fake_host() -> Iterator[ExecutorHost]:
    fake = engine("cookbook")
    fake.reset()
    yield ExecutorHost.objects.create(
        name="fake", executor_type="fake", options={"engine": fake.name}, max_concurrent_jobs=50
    )
    fake.reset()


def code_of(page: str) -> dict[str, Any]:
    """The names that a page's Python blocks define, run one after another as one module."""
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(), flags=re.DOTALL)
    assert blocks
    names: dict[str, Any] = {"__name__": f"cookbook.{page.removesuffix('.md')}"}
    for block in blocks:
        exec(compile(block, page, "exec"), names)  # noqa: S102 - our own pages
    return names


def drain() -> None:
    WorkerLoop(WorkerOptions(drain=True, concurrency=50, poll_interval=0.05)).run()


def test_the_nightly_job_is_queued_once_however_often_cron_calls(fake_host: ExecutorHost) -> None:
    command = code_of("nightly.md")["Command"]
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


def test_the_page_of_uploads_counts_to_the_end(fake_host: ExecutorHost) -> None:
    names = code_of("uploads.md")
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
