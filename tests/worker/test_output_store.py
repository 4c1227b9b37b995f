"""Output of ended attempts in a storage: every reader shows the same as before, and an outage only delays the move."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages
from django.core.management import call_command
from django.test import Client

from container_manager import queue_manager
from container_manager.executors.fake import FakeEngine, Script
from container_manager.models import ContainerJob, ExecutorHost, JobAttempt, JobFile, JobLog
from container_manager.models.output import OutputPiece, read_output
from container_manager.states import Status
from container_manager.worker import WorkerLoop
from container_manager.worker.output_moves import OutputMoves
from container_manager.worker.retention import Retention
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Drain = Callable[..., WorkerLoop]
LINES = "".join(f"line {number} of many\n" for number in range(5_000))


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """What the storage ``logs`` has; output is bounded so that some is left out."""
    backend = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path / "logs")},
    }
    settings.STORAGES = {**settings.STORAGES, "logs": backend}
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "LOG_MAX_BYTES": 32_768}
    return tmp_path / "logs"


@pytest.fixture
def job(fake_host: ExecutorHost, fake_engine: FakeEngine, folder: Path, drain: Drain) -> ContainerJob:
    """One that has ended, with output in the database."""
    fake_engine.script(lambda spec: Script(exit_code=3, stdout=LINES, stderr="a warning\n"))
    one = queue_manager.create_and_queue(command="true")
    drain()
    one.refresh_from_db()
    assert JobLog.objects.count() > 2
    return one


def store_in(settings: Any, store: str | None, **more: Any) -> None:
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "OUTPUT_STORE": store, **more}


def move() -> None:
    moves = OutputMoves("default")
    wait_until(lambda: moves.tick() == 0, what="the end of the moves")
    moves.close()


def pieces(job: ContainerJob) -> list[OutputPiece]:
    return list(read_output(JobAttempt.objects.get(job=job)))


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def printed(*arguments: str) -> str:
    out = io.StringIO()
    call_command("containers", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_every_reader_shows_the_same_before_and_after_the_move(
    job: ContainerJob, folder: Path, settings: Any, admin_client: Client
) -> None:
    base = f"/admin/container_manager/containerjob/{job.pk}/"
    readers: dict[str, Callable[[], Any]] = {
        "output": job.output,
        "one stream": lambda: job.output(stream="stderr"),
        "tail": lambda: job.output(tail=3),
        "pieces": lambda: pieces(job),
        "after a position": lambda: list(read_output(JobAttempt.objects.get(job=job), pieces(job)[1].position)),
        "cli": lambda: printed("logs", str(job.pk)),
        "cli tail": lambda: printed("logs", "--tail", "2", str(job.pk)),
        "admin": lambda: admin_client.get(f"{base}log/").json(),
        "download": lambda: b"".join(admin_client.get(f"{base}log/download/").streaming_content),  # type: ignore[attr-defined]
        "rest": lambda: admin_client.get(f"/api/v1/jobs/{job.pk}/logs/").content,
    }
    before = {name: read() for name, read in readers.items()}
    assert "bytes left out" in before["output"]
    assert before["rest"].count(b"of many") > 100

    store_in(settings, "logs")
    move()
    assert not JobLog.objects.exists()
    assert len(stored(folder)) == 1
    assert {name: read() for name, read in readers.items()} == before
    job.refresh_from_db()
    assert (job.status, job.exit_code) == (Status.FAILED, 3)
    assert job.files == {}


def test_a_worker_that_drains_has_moved_what_ended(
    fake_host: ExecutorHost, fake_engine: FakeEngine, folder: Path, settings: Any, drain: Drain
) -> None:
    store_in(settings, "logs")
    fake_engine.script(lambda spec: Script(stdout="hello\n"))
    jobs = queue_manager.queue_jobs([ContainerJob(command="true") for _ in range(40)])
    drain()

    assert not JobLog.objects.exists()
    assert len(stored(folder)) == 40
    assert {job.output() for job in jobs} == {"hello\n"}


def test_an_outage_keeps_the_rows_and_the_next_try_leaves_one_file(
    job: ContainerJob, folder: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_in(settings, "logs")
    monkeypatch.setattr("container_manager.worker.output_moves.PAUSE_SECONDS", 0.0)
    before = job.output()
    storage, outages = storages["logs"], iter(range(2))

    def save_or_not(name: str, content: Any, max_length: int | None = None) -> str:
        kept = type(storage).save(storage, name, content, max_length)
        if next(outages, None) is not None:
            raise ConnectionError("the bucket is out of reach")
        return str(kept)

    monkeypatch.setattr(storage, "save", save_or_not)
    moves = OutputMoves("default")
    seen = set()

    def is_moved() -> bool:
        moves.tick()
        seen.add(job.output())
        return not JobLog.objects.exists()

    wait_until(is_moved, what="the move")
    moves.close()
    assert seen == {before}
    assert job.output() == before
    assert len(stored(folder)) == 1
    assert JobFile.objects.count() == 1


def test_two_workers_that_move_the_same_leave_one_file(job: ContainerJob, folder: Path, settings: Any) -> None:
    store_in(settings, "logs")
    before = job.output()
    one, other = OutputMoves("default"), OutputMoves("default")
    assert (one.tick(), other.tick()) == (1, 1)
    wait_until(lambda: not one.tick() and not other.tick() and len(stored(folder)) == 1, what="one file")
    wait_until(lambda: not other.tick() and not one.tick() and JobFile.objects.count() == 1, what="one row")
    assert job.output() == before
    one.close()
    other.close()


def test_a_storage_that_does_not_answer_a_reader_is_named_in_the_outputs_place(
    job: ContainerJob, folder: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_in(settings, "logs")
    move()

    def refuse(name: str, mode: str = "rb") -> Any:
        raise ConnectionError("down")

    monkeypatch.setattr(storages["logs"], "open", refuse)
    assert job.output() == "[The output is in the storage logs, which does not give it out: ConnectionError.]\n"


def test_retention_deletes_stored_output_before_the_job_and_with_it(
    job: ContainerJob, folder: Path, settings: Any
) -> None:
    store_in(settings, "logs", RETENTION={"logs": 0})
    move()
    wait_until(lambda: Retention("default").prune_some()["logs"], what="output that is old enough")
    assert stored(folder) == []
    assert job.output() == ""
    assert JobAttempt.objects.get(job=job).log_sequence == 0
    assert not JobFile.objects.exists()


def test_a_deleted_job_takes_its_stored_output_along(job: ContainerJob, folder: Path, settings: Any) -> None:
    store_in(settings, "logs", RETENTION={"failed": 0})
    move()
    wait_until(lambda: Retention("default").prune_some()["failed"], what="a job that is old enough")
    assert stored(folder) == []


def test_no_output_is_kept_where_nobody_wants_any(
    fake_host: ExecutorHost, fake_engine: FakeEngine, settings: Any, drain: Drain
) -> None:
    store_in(settings, None)
    fake_engine.script(lambda spec: Script(stdout="::progress 70 nearly\nhello\n"))
    job = queue_manager.create_and_queue(command="true")
    drain()
    job.refresh_from_db()
    assert (job.status, job.output(), job.progress) == (Status.COMPLETED, "", 70)
    assert not JobLog.objects.exists()
