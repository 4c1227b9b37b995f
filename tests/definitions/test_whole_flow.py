"""A definition and all that is done with its jobs, as an application has them, on local processes and on Docker."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone

from container_manager import queue_manager
from container_manager.exceptions import JobFailedError, JobValidationError
from container_manager.models import ContainerJob, JobBatch
from container_manager.states import Status
from tests.video.models import Upload

pytestmark = pytest.mark.django_db(transaction=True)

# What a project would have in video/container_jobs.py.
APPLICATION = """
from django import forms

from container_manager.definitions import InputFile, JobDefinition, OutputFile
from container_manager.handlers import on_job


class Transcode(JobDefinition):
    image = "registry.example.com/ffmpeg:7.1"
    command = ["ffmpeg", "-i", "{video}", "-vf", "scale=-2:{height}", "{clip}"]
    queue, memory_limit, timeout_seconds, network = "media", 2048, 3600, "none"
    secrets = {"API_TOKEN": "env:ACME_TOKEN"}
    video = InputFile()
    height = forms.IntegerField(min_value=144, max_value=2160, initial=720)
    clip = OutputFile("clip.mp4", required=True)


told = []


@on_job("completed", definition=Transcode)
def clip_ready(job):
    told.append(job.pk)
"""
FFMPEG = r"""
test "$1 $2 $4" = "ffmpeg -i -vf" && test -s "$CM_SECRETS_DIR/API_TOKEN" || exit 64
echo "::progress 40 Resizing"
if grep -q broken "$3"; then echo "Invalid data found when processing input" >&2; exit 1; fi
tr a-z A-Z < "$3" > "$6"
printf '{"seconds": 1.5, "filter": "%s"}' "$5" > "$CM_OUTPUT_DIR/result.json"
"""
"""Stands for ffmpeg: the clip is the video in upper case."""


@pytest.fixture
def application(
    registrations_of_this_test_alone: None, monkeypatch: pytest.MonkeyPatch, media: Path
) -> SimpleNamespace:
    """The module above, with a program that is here in place of its image; ``video.handlers`` beside it."""
    monkeypatch.setattr("container_manager.registry._definitions", {})
    names: dict[str, Any] = {"__name__": "video.container_jobs"}
    exec(compile(APPLICATION, "video/container_jobs.py", "exec"), names)  # noqa: S102 - the text above
    monkeypatch.setitem(names["Transcode"].options, "image", "busybox:local")
    monkeypatch.setitem(names["Transcode"].options, "entrypoint", ["sh", "-c", FFMPEG, "sh"])
    module = ModuleType("video.handlers")
    albums: list[JobBatch] = []
    module.album_ready = albums.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "video", ModuleType("video"))
    monkeypatch.setitem(sys.modules, "video.handlers", module)
    return SimpleNamespace(Transcode=names["Transcode"], told=names["told"], albums=albums)


def film(content: bytes = b"some film") -> Upload:
    return Upload.objects.create(file=ContentFile(content, name="film.mov"))


def test_one_job_from_its_upload_to_its_clip(
    engine_host: None, application: SimpleNamespace, drain: Callable[[], object]
) -> None:
    Transcode, upload = application.Transcode, film()  # noqa: N806 - a class

    job: Any = Transcode.queue(video=upload.file, height=480, priority=80)
    later: Any = Transcode.build(video=upload.file)
    at = timezone.now() + timedelta(seconds=1)
    later = queue_manager.queue_job(later, schedule_for=at)
    broken = Transcode.queue(video=film(b"a broken film").file)
    drain()

    job = queue_manager.wait_for(job, timeout=900)
    assert (job.exit_code, job.outcome, job.error, job.output(stream="stderr", tail=50)) == (0, "ok", "", "")
    assert job.result["seconds"] == 1.5
    assert job.result["filter"] == "scale=-2:480"
    with job.files["clip"].open("rb") as clip:
        assert clip.read() == b"SOME FILM"
    assert (job.priority, job.queue, job.progress, job.progress_text) == (80, "media", 40, "Resizing")

    later.refresh_from_db()
    assert later.started_at >= at
    assert later.result["filter"] == "scale=-2:720"

    with pytest.raises(JobFailedError) as failed:
        queue_manager.wait_for(broken, timeout=900)
    assert (failed.value.exit_code, failed.value.outcome) == (1, "app_error")
    assert "Invalid data found" in str(failed.value)
    with transaction.atomic(), pytest.raises(RuntimeError):
        queue_manager.wait_for(job, timeout=900)

    assert sorted(application.told) == sorted([job.pk, later.pk])

    again = queue_manager.clone_job(job, priority=90)
    queue_manager.queue_job(again)
    drain()
    again = queue_manager.wait_for(again, timeout=900)
    assert (again.priority, again.parameters) == (90, job.parameters)
    with again.files["clip"].open("rb") as clip:
        assert clip.read() == b"SOME FILM"


def test_many_jobs_as_a_batch_and_one_for_each_upload(
    engine_host: None, application: SimpleNamespace, drain: Callable[[], object]
) -> None:
    Transcode, account = application.Transcode, SimpleNamespace(slug="acme")  # noqa: N806 - a class
    videos, upload = [film(b"one"), film(b"two"), film(b"a broken one")], film()

    batch = Transcode.queue_many(
        [{"video": v.file} for v in videos], max_running=20, on_complete="video.handlers.album_ready"
    )
    assert batch.progress() == {"total": 3, "queued": 3, "running": 0, "completed": 0, "failed": 0, "cancelled": 0}
    f = upload.file
    first, second = (
        Transcode.queue(video=f, unique_key=f"transcode:{upload.pk}", on_conflict="return", tenant=account.slug)
        for _ in range(2)
    )
    assert first == second
    assert first.tenant == "acme"
    drain()

    assert batch.progress() == {"total": 3, "queued": 0, "running": 0, "completed": 2, "failed": 1, "cancelled": 0}
    assert application.albums == [batch]
    assert ContainerJob.objects.get(unique_key=f"transcode:{upload.pk}").status == Status.COMPLETED
    third = Transcode.queue(video=f, unique_key=f"transcode:{upload.pk}", on_conflict="return", tenant=account.slug)
    assert third != first


def test_bad_input_is_told_by_field_and_queues_nothing(application: SimpleNamespace) -> None:
    with pytest.raises(JobValidationError) as refused:
        application.Transcode.queue(height=9999, widht=3)
    assert set(refused.value.message_dict) == {"video", "height", "widht"}
    assert not ContainerJob.objects.exists()
