"""``containers run NAME``: jobs of definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from container_manager.management import exits
from container_manager.models import ContainerJob
from tests.cli.conftest import Containers

pytestmark = pytest.mark.django_db
SIZE = ("--param", "width=64", "--param", "height=48")


def test_a_definition_is_run_by_its_name_with_options_on_either_side(containers: Containers) -> None:
    answer = containers("run", "--priority", "70", "make_thumbnail", *SIZE, "--name", "small", "--in", "5m", "--json")
    job = ContainerJob.objects.get()
    assert answer.json["job"]["id"] == str(job.pk)
    assert (job.definition, job.parameters) == ("make_thumbnail", {"width": 64, "height": 48, "title": ""})
    assert (job.priority, job.name, job.hold, job.queue) == (70, "small", "schedule", "media")
    assert containers("run", *SIZE, "make_thumbnail").code == exits.OK


def test_a_file_is_given_by_its_path(containers: Containers, settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    clip = tmp_path / "clip.mov"
    clip.write_bytes(b"a film")
    assert containers("run", "transcode", "--param", "height=480", "--file", f"video={clip}").code == exits.OK
    job = ContainerJob.objects.get()
    assert job.parameters["height"] == 480
    with job.files["video"].open() as video:
        assert video.read() == b"a film"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("make_thumbnail", "--param", "width=x"), "width:"),
        (("make_thumbnail", *SIZE, "--param", "hight=1"), "hight: There is no such parameter."),
        (("make_thumbnail", *SIZE, "--param", "tenant=other"), "tenant: There is no such parameter."),
        (("make_thumbnail", "--file", "width=/no/such/file"), "cannot be read"),
        (("--image", "other", "make_thumbnail", *SIZE), "--image: The definition says this"),
        (("--param", "a=b", "make_thumbnails"), "Did you mean 'make_thumbnail'?"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_and_nothing_is_queued(
    containers: Containers, arguments: tuple[str, ...], said: str
) -> None:
    answer = containers("run", *arguments)
    assert (answer.code, said in answer.err) == (exits.REFUSED, True), answer.err
    assert not ContainerJob.objects.exists()


def test_other_words_are_a_command(containers: Containers) -> None:
    containers("run", "./make_thumbnail", "--param", "width=64")
    assert ContainerJob.objects.get().command == ["./make_thumbnail", "--param", "width=64"]
