"""A worker killed anywhere leaves no place taken and no limit passed."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from container_manager import lanes, queue_manager, turns
from container_manager.models import ContainerJob, JobEvent
from container_manager.states import Status
from tests.faults.conftest import FAST, Bench
from tests.faults.worker import LIMIT_POINTS
from tests.processes import ending, spawn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

SETTINGS = {**json.loads(FAST["TEST_CONTAINER_MANAGER"]), "LIMITS": {"tenant": 2}}
OPTIONS = ("--poll-interval", "0.1", "--concurrency", "8")


def start_worker(point: str, *options: str) -> subprocess.Popen[str]:
    return spawn(
        "-m", "tests.faults.worker", point, "1", "KILL", *OPTIONS, *options,
        environment={"TEST_CONTAINER_MANAGER": json.dumps(SETTINGS)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize(
    "point", ["inside_claim", "after_claim", "after_start", "while_running", "before_finish", *LIMIT_POINTS]
)
def test_a_worker_killed_at_one_point_leaves_the_counts_right(bench: Bench, point: str) -> None:
    queue_manager.queue_jobs([bench.job(tenant=tenant) for tenant in ("acme", "other") for _ in range(4)])
    dying = start_worker(point)
    with ending(dying):
        assert dying.wait(timeout=60) == -signal.SIGKILL
    successor = start_worker("never", "--drain")
    with ending(successor):
        assert successor.wait(timeout=90) == 0
    assert ContainerJob.objects.filter(status=Status.COMPLETED).count() == 8
    turns.admit("default")
    assert lanes.discrepancies("default") == []
    assert not lanes.limiting("default").exists()
    for tenant in ("acme", "other"):
        assert _most_at_once(tenant) <= 2


def _most_at_once(tenant: str) -> int:
    events = JobEvent.objects.filter(job__tenant=tenant).order_by("id").values_list("verb", flat=True)
    most = now = 0
    for verb in events:
        now += {"claim": 1, "complete": -1, "release": -1, "retry": -1}.get(verb, 0)
        most = max(most, now)
    return most
