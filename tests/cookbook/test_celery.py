"""The page that replaces a Celery task: 40 lines for more than 120, and they run."""

from __future__ import annotations

import ast
import io
import sys
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.core.files.base import ContentFile

from container_manager.models import ContainerJob
from tests.cookbook.pages import blocks_of, names_of
from tests.video import models
from tests.video.models import Upload

PAGE = "celery.md"


def archive(count: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for number in range(count):
            packed.addfile(tarfile.TarInfo(f"{number}.txt"))
    return stream.getvalue()


def test_forty_lines_replace_more_than_a_hundred_and_twenty() -> None:
    before, *after = blocks_of(PAGE)
    ast.parse(before)
    assert len(before.splitlines()) >= 120
    assert sum(len(block.splitlines()) for block in after) <= 40


@pytest.mark.django_db(transaction=True)
def test_uploads_are_inspected(
    engine_host: None, drain: Callable[[], object], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setitem(sys.modules, "uploads.models", models)
    settings.INSPECT_IMAGE = "busybox:local"
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "MAIL_ADMINS": ["failed"]}
    settings.ADMINS = [("Ada", "ada@example.com")]
    inspect = names_of(PAGE, blocks_of(PAGE)[1:])["inspect"]

    good = Upload.objects.create(file=ContentFile(archive(3), name="good.tgz"))
    bad = Upload.objects.create(file=ContentFile(b"no archive at all", name="bad.tgz"))
    jobs: list[ContainerJob] = [inspect(good), inspect(bad)]
    drain()

    for row in (good, bad, *jobs):
        row.refresh_from_db()
    assert (good.state, good.entries) == ("inspected", 3)
    assert (bad.state, bad.entries) == ("failed", None)
    with jobs[0].files["listing"].open() as listing:
        assert listing.read() == b"0.txt\n1.txt\n2.txt\n"
    assert jobs[1].attempt == 1
    (message,) = mail.outbox
    assert "Job inspect failed" in message.subject
