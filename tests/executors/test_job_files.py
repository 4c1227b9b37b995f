"""Job definitions on real container engines: files, results, progress and secrets, whatever the container may do."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest
from django import forms
from django.core.files.base import ContentFile
from docker import APIClient

from container_manager import queue_manager, registry
from container_manager.definitions import InputFile, JobDefinition, OutputFile
from container_manager.executors.docker import DockerExecutor
from container_manager.models import ContainerJob, ExecutorHost
from container_manager.specs import Handle
from container_manager.states import Outcome, Status
from container_manager.worker import WorkerLoop, WorkerOptions
from tests.processes import ending, spawn_worker, wait_until
from tests.video.container_jobs import PLANTED, CopyThrough, Transcode
from tests.video.models import Upload
from tests.worker.container_engines import DOCKER, EVERY_ENGINE, ContainerEngine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=EVERY_ENGINE)
def engine(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[ContainerEngine]:
    with request.param.host(queues=["default", "media"]):
        yield request.param


@pytest.fixture(autouse=True)
def media(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "_definitions", registry.all_definitions())
    settings.MEDIA_ROOT = str(tmp_path / "media")
    monkeypatch.setenv("ACME_TOKEN", PLANTED)
    return tmp_path / "media"


def drain(engine: ContainerEngine) -> None:
    """A worker has run until nothing was left, and what it asked the engine to remove is gone."""
    WorkerLoop(WorkerOptions(drain=True, concurrency=20, poll_interval=0.1)).run()
    wait_until(lambda: not engine.containers())


def content(job: ContainerJob, name: str) -> bytes:
    with job.files[name].open("rb") as file:
        return bytes(file.read())


def volumes(engine: ContainerEngine) -> set[str]:
    with APIClient(engine.address, timeout=60) as client:
        return {volume["Name"] for volume in client.volumes()["Volumes"] or ()}


def test_a_file_goes_in_and_comes_out_with_result_progress_and_a_secret(engine: ContainerEngine) -> None:
    film = Upload.objects.create(file=ContentFile(b"some film", name="film.mov"))
    before = volumes(engine)

    job = Transcode.queue(video=film.file, height=480, priority=80)
    again = queue_manager.queue_job(Transcode.build(video=film.file, mode="no-output"))
    drain(engine)

    job = queue_manager.wait_for(job, timeout=60)
    assert (job.status, job.exit_code, job.outcome, job.error) == (Status.COMPLETED, 0, Outcome.OK, "")
    assert content(job, "clip") == b"SOME FILM"
    assert job.result == {"seconds": 1.5, "height": 480, "token": "********"}
    assert (job.progress, job.progress_text) == (100, "Done")
    assert job.output(stream="stdout").splitlines()[1] == "token ********"
    again.refresh_from_db()
    assert (again.status, again.outcome) == (Status.FAILED, Outcome.OUTPUT_ERROR)
    assert "The output file clip is missing" in again.error
    assert volumes(engine) <= before, "the volumes of files and secrets go with their container"


def test_files_and_secrets_work_for_any_user_and_with_a_read_only_root(engine: ContainerEngine) -> None:
    ExecutorHost.objects.update(options={**engine.options, "read_only": True, "user": "1234:1234"})
    job = Transcode.queue(video=ContentFile(b"some film", name="a b.mov"))
    drain(engine)

    job.refresh_from_db()
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert content(job, "clip") == b"SOME FILM"


def test_a_secret_is_neither_in_the_containers_configuration_nor_on_its_command_line(
    engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wait(JobDefinition):
        image = "busybox:local"
        command = ["sh", "-c", "cat $CM_SECRETS_DIR/TOKEN; cat /proc/1/cmdline /proc/1/environ; env"]
        secrets = {"TOKEN": "env:ACME_TOKEN"}
        network = "none"

    seen: list[str] = []
    start = DockerExecutor.start

    def look_and_start(executor: DockerExecutor, handle: Handle) -> None:
        with APIClient(engine.address, timeout=60) as client:
            seen.append(str(client.inspect_container(handle.name)))
        start(executor, handle)

    monkeypatch.setattr(DockerExecutor, "start", look_and_start)
    job = Wait.queue()
    drain(engine)
    job.refresh_from_db()
    assert job.output().count("********") == 1
    assert len(seen) == 1
    assert not [text for text in seen if PLANTED in text]


def test_what_a_link_in_the_output_folder_points_to_is_not_taken(engine: ContainerEngine) -> None:
    job = Transcode.queue(video=ContentFile(b"x", name="x.mov"), mode="link")
    drain(engine)

    job.refresh_from_db()
    assert (job.outcome, list(job.files)) == (Outcome.OUTPUT_ERROR, ["video"])


def test_every_kind_of_name_is_one_argument(engine: ContainerEngine) -> None:
    class Say(JobDefinition):
        image = "busybox:local"
        command = ["printf", "%s|", "{text}", "{file}", "{out}"]
        network = "none"
        text = forms.CharField()
        file = InputFile()
        out = OutputFile("a/b c.txt", required=False)
        queue: ClassVar[Any] = "media"

    hostile = "$(CM_INPUT_DIR) $$(CM_OUTPUT_DIR) {file} '\" ; exit 1"
    job = Say.queue(text=hostile, file=ContentFile(b"x", name="ünï côdé $(id).txt"))
    drain(engine)

    job.refresh_from_db()
    assert job.output() == f"{hostile}|/cm/input/file/ünï_côdé_id.txt|/cm/output/a/b c.txt|"


@pytest.mark.docker
@pytest.mark.parametrize(
    "megabytes", [64, pytest.param(1024, marks=[pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(900)])]
)
def test_a_large_file_goes_through_a_worker_whose_memory_does_not_grow_with_it(
    transactional_db: None, media: Path, megabytes: int
) -> None:
    source = media / "large.bin"
    media.mkdir()
    expected = hashlib.sha256()
    block = bytes(range(256)) * 4096
    with source.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
            expected.update(block)
    with DOCKER.host():
        job = CopyThrough.queue(data=("default", "large.bin"))
        worker = spawn_worker(
            "--drain", "--poll-interval", "0.1", environment={"TEST_MEDIA_ROOT": str(media), "ACME_TOKEN": PLANTED}
        )
        with ending(worker):
            peak = 0
            watched = psutil.Process(worker.pid)
            while worker.poll() is None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    peak = max(peak, watched.memory_info().rss)
                time.sleep(0.02)
            output = worker.communicate()[0]
            assert worker.returncode == 0, output
    job.refresh_from_db()
    assert (job.status, job.error) == (Status.COMPLETED, "")
    assert job.files["copy"].sha256 == job.files["data"].sha256 == expected.hexdigest()
    assert job.files["copy"].size == megabytes << 20
    assert 0 < peak < 200 << 20
