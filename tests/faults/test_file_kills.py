"""Workers are killed while files go in and come out: no file, no result and no call of a handler is lost or doubled."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from container_manager import queue_manager
from container_manager.models import ContainerJob, JobEvent, JobFile, JobLog
from container_manager.states import Status, Verb
from container_manager.worker.retention import Retention
from tests.faults.conftest import FAST, Bench
from tests.faults.worker import FILE_POINTS, HANDLER_POINTS, OUTPUT_POINTS
from tests.processes import ending, spawn
from tests.video.container_jobs import CopyThrough

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

CONTENT = bytes(range(256)) * 4_000
"""Several of the pieces in which files are read: a kill can come between two."""
SETTINGS = {**json.loads(FAST["TEST_CONTAINER_MANAGER"]), "OUTPUT_STORE": "default"}
SCRIPT = 'echo copied; cp "$1" "$2"; echo "{\\"attempt\\": $CM_ATTEMPT}" > "$CM_OUTPUT_DIR/result.json"'
POINTS = [
    *((point, 1) for point in (*FILE_POINTS, *HANDLER_POINTS, *OUTPUT_POINTS, "before_finish", "before_remove")),
    ("inside_put", 3), ("inside_store", 3), ("after_publish", 2),
]  # fmt: skip


@pytest.fixture
def media(tmp_path: Path, settings: Any) -> Path:
    """Where the storage keeps its files; finished jobs are old at once, which the workers have not heard of."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    settings.CONTAINER_MANAGER = {**settings.CONTAINER_MANAGER, "RETENTION": {"completed": 0}}
    return tmp_path / "media"


def copying(bench: Bench, source: Path) -> ContainerJob:
    """A job, not saved, that leaves a copy of its input and a result, and writes its start down."""
    job = CopyThrough.build(data=source)
    if isinstance(job.command, list):
        job.command = ["sh", "-c", bench.note + SCRIPT, "copy", *job.command[1:]]
    return job


def start_worker(media: Path, point: str, count: int, *options: str) -> subprocess.Popen[str]:
    environment = {
        "TEST_CONTAINER_MANAGER": json.dumps(SETTINGS), "TEST_MEDIA_ROOT": str(media),
        "TEST_HANDLERS": "tests.faults.ledger_handler", "TEST_HANDLER_LEDGER": str(media.parent / "told"),
    }  # fmt: skip
    arguments = ("-m", "tests.faults.worker", point, str(count), "KILL", "--poll-interval", "0.1", *options)
    return spawn(*arguments, environment=environment, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(("point", "count"), POINTS)
def test_a_worker_killed_on_the_way_of_a_file_loses_and_doubles_nothing(
    bench: Bench, media: Path, tmp_path: Path, point: str, count: int
) -> None:
    if not bench.executor.supports_files:
        pytest.skip("jobs of this engine have no files")
    source = tmp_path / "source.bin"
    source.write_bytes(CONTENT)
    jobs = queue_manager.queue_jobs([copying(bench, source) for _ in range(2)])
    dying = start_worker(media, point, count)
    with ending(dying):
        assert dying.wait(timeout=60) == -signal.SIGKILL
    successor = start_worker(media, "never", 1, "--drain")
    with ending(successor):
        assert successor.wait(timeout=90) == 0

    for job in jobs:
        job.refresh_from_db()
        assert (job.status, job.error) == (Status.COMPLETED, "")
        assert job.output() == "copied\n"
        assert job.result == {"attempt": job.attempt}
        assert bench.starts_of(job) == 1
        assert JobEvent.objects.filter(job_id=job.pk, verb=Verb.COMPLETE).count() == 1
        assert_one_whole(job, JobFile.Direction.INPUT, "data")
        assert_one_whole(job, JobFile.Direction.OUTPUT, "copy")
    assert not JobLog.objects.exists(), "output that ended is in its storage"
    told = Counter(line.split()[0] for line in (tmp_path / "told").read_text().splitlines())
    assert set(told) == {str(job.pk) for job in jobs}
    assert max(told.values()) <= 2, "told again only where the first was not written down"
    Retention("default").prune_some()
    assert not ContainerJob.objects.exists()
    assert not JobFile.objects.exists()
    kept = [path for path in media.rglob("*") if path.is_file()]
    assert kept == [], "what tries that were cut short have stored goes with the jobs"


def assert_one_whole(job: ContainerJob, direction: str, name: str) -> None:
    """The job shows one file of ``direction``, and all of it is there."""
    [row] = JobFile.objects.filter(job_id=job.pk, direction=direction, is_ready=True)
    assert row.name == name
    assert (row.size, row.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    with job.files[name].open("rb") as file:
        assert file.read() == CONTENT
