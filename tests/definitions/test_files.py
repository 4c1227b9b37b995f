"""Files given to jobs and left behind by them, results and progress: with local processes and real storages."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.db import transaction
from django.utils import timezone

from container_manager import queue_manager
from container_manager.exceptions import JobFailedError, JobValidationError
from container_manager.executors.fake import FakeEngine, Script
from container_manager.models import ContainerJob, ExecutorHost, Installation, JobEvent, JobFile
from container_manager.states import Outcome, Status, Verb
from container_manager.worker.retention import Retention
from container_manager.worker.stray_inputs import StrayInputs
from tests.processes import wait_until
from tests.video.container_jobs import PLANTED, MakeThumbnail, Transcode
from tests.video.models import Upload

pytestmark = pytest.mark.django_db(transaction=True)

Drain = Callable[..., None]


def upload(content: bytes = b"some film", name: str = "film.mov") -> Upload:
    return Upload.objects.create(file=ContentFile(content, name=name))


def content(job: ContainerJob, name: str) -> bytes:
    with job.files[name].open("rb") as file:
        return bytes(file.read())


def stored(media: Path) -> list[Path]:
    """What this package keeps in the storage."""
    return sorted(path for path in (media / "container_manager").rglob("*") if path.is_file())


def test_a_file_goes_in_and_comes_out_with_a_result_and_progress(
    process_host: ExecutorHost, media: Path, drain: Drain
) -> None:
    job = Transcode.queue(video=upload().file, height=480, priority=80)
    drain()

    job = queue_manager.wait_for(job, timeout=60)
    assert (job.status, job.exit_code, job.outcome, job.error) == (Status.COMPLETED, 0, Outcome.OK, "")
    with job.files["clip"].open("rb") as clip:
        assert clip.read() == b"SOME FILM"
    assert job.result == {"seconds": 1.5, "height": 480, "token": "********"}
    assert (job.progress, job.progress_text) == (100, "Done")
    assert "preview" not in job.files


def test_sizes_and_checksums_are_kept_of_what_went_in_and_came_out(
    process_host: ExecutorHost, media: Path, drain: Drain
) -> None:
    job = Transcode.queue(video=upload(b"abc").file)
    assert job.files["video"].size is None
    drain()

    job.refresh_from_db()
    for name, expected in {"video": b"abc", "clip": b"ABC"}.items():
        assert (job.files[name].size, job.files[name].sha256) == (3, hashlib.sha256(expected).hexdigest())


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("no-output", "The output file clip is missing: clip.mp4"),
        ("link", "The output file clip is missing: clip.mp4"),
        ("no-json", "result.json is not JSON"),
        ("long-json", "result.json has 70000 bytes; at most 65536"),
    ],
)
def test_what_ended_well_and_left_the_wrong_things_has_failed_once_and_says_why(
    process_host: ExecutorHost, media: Path, drain: Drain, mode: str, error: str
) -> None:
    job = Transcode.queue(video=upload().file, mode=mode)
    drain()

    with pytest.raises(JobFailedError):
        queue_manager.wait_for(job, timeout=60)
    job.refresh_from_db()
    assert (job.status, job.exit_code, job.outcome, job.attempt) == (Status.FAILED, 0, Outcome.OUTPUT_ERROR, 1)
    assert error in job.error
    assert job.result is None


def test_a_failed_job_keeps_its_outcome_and_what_it_left(process_host: ExecutorHost, media: Path, drain: Drain) -> None:
    job = Transcode.queue(video=upload().file, mode="fail")
    drain()

    job.refresh_from_db()
    assert (job.exit_code, job.outcome, job.error) == (3, Outcome.APP_ERROR, "Exit code 3.")
    assert content(job, "clip") == b"partial\n"


def test_every_way_to_give_a_file_works(process_host: ExecutorHost, media: Path, tmp_path: Path, drain: Drain) -> None:
    local = tmp_path / "from disk.mov"
    local.write_bytes(b"local")
    default_storage.save("kept/there.mov", ContentFile(b"there"))
    jobs = {
        b"LOCAL": Transcode.queue(video=local),
        b"TEXT": Transcode.queue(video=str(_written(tmp_path, b"text"))),
        b"FILE": Transcode.queue(video=ContentFile(b"file", name="../../x/a b.mov")),
        b"THERE": Transcode.queue(video=("default", "kept/there.mov")),
    }
    drain()

    for expected, job in jobs.items():
        assert content(job, "clip") == expected
    assert jobs[b"FILE"].files["video"].path == "video/a_b.mov"


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "text.mov"
    path.write_bytes(content)
    return path


def test_a_form_takes_an_upload(media: Path, transactional_db: None) -> None:
    form = Transcode.form({"height": "480", "mode": "good"}, {"video": ContentFile(b"x", name="x.mov")})
    assert form.is_valid(), form.errors
    job = Transcode.queue(**form.cleaned_data)
    assert content(job, "video") == b"x"
    assert not Transcode.form({"height": "480", "mode": "good", "video": "/etc/passwd"}).is_valid()


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (None, "required"),
        (Path("/no/such/file.mov"), "There is no file /no/such/file.mov here."),
        (("default", "no/such.mov"), "There is no file 'no/such.mov' in the storage 'default'."),
        (("elsewhere", "a.mov"), "There is no storage 'elsewhere'"),
        (("default", "../../etc/passwd"), "There is no file"),
        (7, "Give a File, a FieldFile"),
        (ContentFile(b"", name="a.mov"), "empty"),
    ],
)
def test_a_file_that_is_not_there_is_refused_when_queued(
    media: Path, transactional_db: None, video: Any, message: str
) -> None:
    with pytest.raises(JobValidationError) as refused:
        Transcode.queue(video=video)
    assert set(refused.value.message_dict) == {"video"}
    assert message in refused.value.message_dict["video"][0]
    assert not ContainerJob.objects.exists()
    assert stored(media) == []


def test_a_refused_job_leaves_no_copy_behind(media: Path, transactional_db: None, settings: Any) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "IMAGES": ["python:*"]}
    with pytest.raises(JobValidationError, match="IMAGES"):
        Transcode.queue(video=ContentFile(b"x", name="x.mov"))
    assert stored(media) == []


def test_an_input_that_vanished_fails_the_job_at_once_and_runs_nothing(
    fake_host: ExecutorHost, fake_engine: FakeEngine, media: Path, drain: Drain
) -> None:
    film = upload()
    job = Transcode.queue(video=film.file)
    film.file.delete()
    drain()

    job.refresh_from_db()
    assert (job.status, job.outcome, job.attempt) == (Status.FAILED, Outcome.CONFIG_ERROR, 1)
    assert "does not exist" in job.error
    assert fake_engine.starts == []
    assert fake_engine.executions == {}


def test_a_storage_that_is_down_delays_the_launch_and_costs_a_try(
    fake_host: ExecutorHost, fake_engine: FakeEngine, media: Path, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_engine.script(lambda spec: Script(files={"clip.mp4": "clip"}))
    job = Transcode.queue(video=upload().file, priority=90)
    down = iter([True])

    def open_or_not(name: str, mode: str = "rb") -> Any:
        if next(down, False):
            raise TimeoutError("the storage does not answer")
        return type(storages["default"]).open(storages["default"], name, mode)

    monkeypatch.setattr(storages["default"], "open", open_or_not)
    drain()

    job.refresh_from_db()
    assert (job.status, job.attempt, job.retry_count) == (Status.COMPLETED, 2, 1)


def test_a_storage_outage_keeps_the_ended_job_until_its_files_are_stored(
    fake_host: ExecutorHost, fake_engine: FakeEngine, media: Path, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_engine.script(lambda spec: Script(files={"clip.mp4": "clip", "result.json": "[1]"}))
    job = Transcode.queue(video=upload().file)
    outages = iter(range(2))
    kept: list[int] = []

    def save_or_not(name: str, content: Any, max_length: int | None = None) -> str:
        if next(outages, None) is not None:
            content.read(2)
            kept.append(len(fake_engine.executions))
            raise ConnectionError("the bucket is out of reach")
        storage = storages["default"]
        return str(type(storage).save(storage, name, content, max_length))

    monkeypatch.setattr(storages["default"], "save", save_or_not)
    drain()

    job.refresh_from_db()
    assert (job.status, job.attempt, job.result) == (Status.COMPLETED, 1, [1])
    assert content(job, "clip") == b"clip"
    assert kept == [1, 1], "the execution stays while its files are not stored"
    notes = JobEvent.objects.filter(job_id=job.pk, verb=Verb.NOTE).values_list("message", flat=True)
    assert len([note for note in notes if "the bucket is out of reach" in note]) == 1


def test_files_larger_than_the_host_takes_are_refused(
    fake_host: ExecutorHost, fake_engine: FakeEngine, media: Path, drain: Drain
) -> None:
    fake_host.options |= {"max_input_size": 1, "max_output_size": 1}
    fake_host.save()
    large = "x" * (1 << 20)
    fake_engine.script(lambda spec: Script(files={"clip.mp4": large + "x"}))
    too_much_in = Transcode.queue(video=upload(large.encode() + b"x").file)
    too_much_out = Transcode.queue(video=upload(b"x").file)
    drain()

    too_much_in.refresh_from_db()
    assert (too_much_in.outcome, too_much_in.attempt) == (Outcome.CONFIG_ERROR, 1)
    assert "max_input_size" in too_much_in.error
    too_much_out.refresh_from_db()
    assert (too_much_out.status, too_much_out.outcome) == (Status.FAILED, Outcome.OUTPUT_ERROR)
    assert "max_output_size" in too_much_out.error
    assert "clip" not in too_much_out.files


def test_a_job_with_files_is_refused_where_no_host_takes_any(
    media: Path, transactional_db: None, monkeypatch: pytest.MonkeyPatch, fake_host: ExecutorHost
) -> None:
    monkeypatch.setattr("container_manager.executors.fake.FakeExecutor.supports_files", False)
    with pytest.raises(JobValidationError) as refused:
        Transcode.queue(video=upload().file)
    assert "No host of queue 'default' takes files: fake" in refused.value.message_dict["queue"][0]
    assert MakeThumbnail.queue(width=640).status == Status.QUEUED


def test_a_definition_that_is_gone_when_its_job_runs_ends_it_at_once(
    fake_host: ExecutorHost, fake_engine: FakeEngine, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = MakeThumbnail.queue(width=640)
    monkeypatch.setattr("container_manager.registry._definitions", {})
    drain()

    job.refresh_from_db()
    assert (job.status, job.outcome, job.attempt) == (Status.FAILED, Outcome.CONFIG_ERROR, 1)
    assert "no job definition 'make_thumbnail' any more" in job.error
    assert fake_engine.starts == []


def test_a_job_is_run_again_with_its_files_from_its_parameters_or_as_a_clone(
    process_host: ExecutorHost, media: Path, drain: Drain
) -> None:
    first = Transcode.queue(video=ContentFile(b"again", name="a.mov"), height=480)
    clone = queue_manager.queue_job(queue_manager.clone_job(first, priority=90))
    anew = Transcode.queue(**first.parameters)
    drain()

    assert [content(job, "clip") for job in (first, clone, anew)] == [b"AGAIN"] * 3
    first.refresh_from_db()
    first.delete()
    assert content(clone, "video") == b"again", "a copy stays while another job has it"
    for job in (clone, anew):
        ContainerJob.objects.get(pk=job.pk).delete()
    assert stored(media) == []


def test_retention_deletes_the_files_with_their_jobs_and_never_the_users_own(
    fake_host: ExecutorHost, fake_engine: FakeEngine, media: Path, drain: Drain, settings: Any
) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "RETENTION": {"completed": 0}}
    fake_engine.script(lambda spec: Script(files={"clip.mp4": "clip"}))
    film = upload()
    Transcode.queue(video=film.file)
    Transcode.queue(video=ContentFile(b"copied", name="a.mov"))
    drain()
    while Retention("default").prune_some()["completed"]:
        pass

    assert not ContainerJob.objects.exists()
    assert not JobFile.objects.exists()
    assert stored(media) == []
    assert Path(film.file.path).read_bytes() == b"some film"


def test_a_copy_whose_job_was_rolled_back_is_swept_after_its_grace_and_no_other(
    fake_host: ExecutorHost, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queue_and_roll_back(content: bytes) -> None:
        with contextlib.suppress(InterruptedError), transaction.atomic():
            Transcode.queue(video=ContentFile(content, name="a.mov"))
            raise InterruptedError

    installation = Installation.current("default").identifier
    now = timezone.now()
    with monkeypatch.context() as past:
        past.setattr("container_manager.definitions.files.timezone.now", lambda: now - timedelta(days=3))
        queue_and_roll_back(b"old")
        kept = Transcode.queue(video=ContentFile(b"kept", name="a.mov"))
        other = stored(media)[0].parents[2].with_name("another")
        (other / "20200101" / "x").mkdir(parents=True)
        (other / "20200101" / "x" / "b.mov").write_bytes(b"another installation's")
    queue_and_roll_back(b"new")
    assert sorted(map(Path.read_bytes, stored(media))) == [b"another installation's", b"kept", b"new", b"old"]

    strays = StrayInputs(installation, "default")

    def is_swept() -> bool:
        strays.tick()
        return len(stored(media)) < 4  # not read: one may go just then

    wait_until(is_swept, what="the end of the stray input")
    strays.close()
    assert sorted(map(Path.read_bytes, stored(media))) == [b"another installation's", b"kept", b"new"]
    assert content(kept, "video") == b"kept"


def test_a_storage_that_is_down_keeps_the_rows_that_name_its_files(
    fake_host: ExecutorHost, fake_engine: FakeEngine, media: Path, drain: Drain, settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "RETENTION": {"completed": 0}}
    fake_engine.script(lambda spec: Script(files={"clip.mp4": "clip"}))
    with_copy = Transcode.queue(video=ContentFile(b"copied", name="a.mov"))
    MakeThumbnail.queue(width=640)
    drain()

    def refuse(name: str) -> None:
        raise ConnectionError("down")

    with monkeypatch.context() as outage:
        outage.setattr(storages["default"], "delete", refuse)
        Retention("default").prune_some()
    assert list(ContainerJob.objects.values_list("pk", flat=True)) == [with_copy.pk]
    Retention("default").prune_some()
    assert not ContainerJob.objects.exists()
    assert stored(media) == []


def test_the_secret_is_in_no_row_although_the_job_printed_it_and_put_it_into_its_result(
    process_host: ExecutorHost, media: Path, drain: Drain
) -> None:
    job = Transcode.queue(video=upload().file)
    drain()

    job.refresh_from_db()
    assert "token ********" in job.output()
    assert job.result == {"seconds": 1.5, "height": 720, "token": "********"}
    assert PLANTED not in job.output()
