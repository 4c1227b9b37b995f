"""A worker frozen past its timeout is replaced; when it comes back it changes nothing that is not its own any more."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from django.db import connection

from container_manager import queue_manager
from container_manager.models import ContainerJob, JobEvent, Worker
from container_manager.states import Status, Verb
from tests.faults.conftest import Bench
from tests.faults.starting import start_worker
from tests.processes import ending, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

FROZEN_AT = (
    "inside_claim",
    "after_claim",
    "before_create",
    "after_create",
    "before_start",
    "after_start",
    "while_running",
    "before_finish",
)


def is_stopped(process: subprocess.Popen[str]) -> bool:
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


@pytest.mark.parametrize("point", FROZEN_AT)
def test_a_worker_that_lost_its_claim_while_frozen_changes_nothing(bench: Bench, point: str) -> None:
    if point == "inside_claim" and connection.vendor == "sqlite":
        pytest.skip("a process frozen inside a transaction holds SQLite's only write lock: the others wait")
    job = queue_manager.queue_job(bench.job(seconds=1.0, exit_code=5))
    frozen = start_worker(point, 1, "STOP")
    with ending(frozen):
        wait_until(lambda: is_stopped(frozen), what=f"the freeze at {point}")
        other = start_worker("never", 1, "KILL")
        with ending(other):
            bench.wait_until_all_finished()
            job.refresh_from_db()
            assert (job.status, job.exit_code, job.output()) == (Status.FAILED, 5, "began\n")
            # A claim that was not committed is undone by the server, and needs no rescue.
            assert job.events.filter(verb=Verb.RESCUE).exists() == (point != "inside_claim")
            events_before = job.events.count()
            finished_at = job.finished_at

            frozen.send_signal(signal.SIGCONT)
            beats_again = Worker.objects.filter(process_id=frozen.pid)
            thawed_at = Worker.objects.get(process_id=frozen.pid).heartbeat_at
            wait_until(lambda: beats_again.filter(heartbeat_at__gt=thawed_at).exists(), what="its next heartbeat")
            # It works again, and what it believed to own is not touched.
            proof = queue_manager.queue_job(bench.job())
            queue_manager.wait_for(proof, timeout=60)
            for worker in (frozen, other):
                worker.terminate()
            assert [worker.wait(timeout=60) for worker in (frozen, other)] == [0, 0]
    job.refresh_from_db()
    assert (job.status, job.exit_code, job.finished_at) == (Status.FAILED, 5, finished_at)
    assert JobEvent.objects.filter(job=job).count() == events_before
    assert bench.starts_of(job) == 1
    assert not ContainerJob.objects.exclude(status__in=[Status.FAILED, Status.COMPLETED]).exists()
