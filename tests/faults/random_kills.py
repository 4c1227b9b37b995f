"""Workers killed at random, with a seed, while jobs are being run; and the figures of such a run."""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from container_manager import queue_manager
from container_manager.models import ContainerJob, JobAttempt, JobEvent, Worker
from container_manager.states import TERMINAL, Outcome, Status, Verb
from tests.faults.conftest import Bench, full_run
from tests.faults.starting import start_worker
from tests.faults.worker import POINTS
from tests.processes import ending


def run_through_kills(
    bench: Bench, engine: str, count: int, kills: int, queue_of: Callable[[int], str] = lambda _: "default"
) -> list[ContainerJob]:
    """``count`` jobs end as they would have, each started once, while ``kills`` workers are killed; nothing is left."""
    seed = full_run("SEED", 20_261_124)
    chance = random.Random(seed)  # noqa: S311
    fates = [chance.choice([0, 0, 0, 1, 3, 77]) for _ in range(count)]
    jobs = queue_manager.queue_jobs([
        bench.job(seconds=round(chance.uniform(0, 1.5), 2), exit_code=fate, queue=queue_of(number))
        for number, fate in enumerate(fates)
    ])  # fmt: skip
    deaths = _kill_at_random(chance, kills)
    last = start_worker("never", 1, "KILL", "--drain")
    with ending(last):
        bench.wait_until_all_finished(seconds=120 + 5 * count)
        assert last.wait(timeout=120) == 0
    wrong = []
    for fate, job in zip(fates, jobs, strict=True):
        job.refresh_from_db()
        began = bench.starts_of(job)
        if (job.exit_code, job.status, began) != (fate, Status.FAILED if fate else Status.COMPLETED, 1):
            wrong.append((job, job.exit_code, job.outcome, job.error, began))
    delays = _rescue_delays(deaths)
    lost = ContainerJob.objects.filter(outcome=Outcome.LOST).count()
    twice = sum(times > 1 for times in bench.starts().values())
    write_figures({
        "database": os.environ.get("TEST_DATABASE", "sqlite"), "engine": engine, "seed": seed,
        "kills": len(deaths), "jobs": count, "attempts": JobAttempt.objects.count(), "lost": lost, "run twice": twice,
        "stuck": ContainerJob.objects.exclude(status__in=TERMINAL).count(),
        "rescued after, median": f"{statistics.median(delays):.1f} s" if delays else "-",
        "rescued after, maximum": f"{max(delays):.1f} s" if delays else "-",
    })  # fmt: skip
    assert wrong == []
    sweeper = start_worker()
    with ending(sweeper):
        bench.assert_never_twice()
    return jobs


def write_figures(figures: dict[str, Any]) -> None:
    """For the table of ``make faults``: a line in the file that ``FAULTS_FIGURES`` names."""
    if target := os.environ.get("FAULTS_FIGURES"):
        with open(target, "a") as file:
            file.write(json.dumps(figures) + "\n")


def _kill_at_random(chance: random.Random, kills: int) -> list[float]:
    """
    Two workers at a time, each killed at a point or after a while of work; returns when each died.

    The while is counted from its first heartbeat: on a loaded machine Python takes longer to start than it lasts.
    """
    deaths: list[float] = []
    workers: list[tuple[subprocess.Popen[str], float]] = []
    ends: dict[int, float] = {}
    try:
        while len(deaths) < kills:
            while len(workers) < 2:
                point = chance.choice([*POINTS, "never", "never"])
                lives = chance.uniform(1.0, 4.0) if point == "never" else 6.0
                workers.append((start_worker(point, chance.randint(1, 4)), lives))
            beating = set(Worker.objects.values_list("process_id", flat=True))
            for entry in list(workers):
                worker, lives = entry
                if worker.pid in beating:
                    ends.setdefault(worker.pid, time.monotonic() + lives)
                if worker.poll() is None and time.monotonic() > ends.get(worker.pid, math.inf):
                    worker.kill()
                    worker.wait()
                if worker.poll() is not None:
                    deaths.append(timezone.now().timestamp())
                    workers.remove(entry)
                    ends.pop(worker.pid, None)
            time.sleep(0.05)
    finally:
        for worker, _ in workers:
            worker.kill()
            worker.wait()
            deaths.append(timezone.now().timestamp())
    return deaths


def _rescue_delays(deaths: list[float]) -> list[float]:
    """From the latest death before each rescue to the rescue: its detection, at least."""
    rescues = JobEvent.objects.filter(verb=Verb.RESCUE).values_list("at", flat=True)
    delays = []
    for moment in rescues:
        before = [moment.timestamp() - death for death in deaths if death <= moment.timestamp()]
        if before:
            delays.append(min(before))
    return delays
