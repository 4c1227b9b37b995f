"""A worker killed anywhere around a handler's call loses none; what was not written down is told again."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from container_manager import queue_manager
from container_manager.models import HandlerCall
from tests.faults.conftest import FAST, Bench
from tests.faults.worker import HANDLER_POINTS
from tests.processes import ending, spawn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

CALLS = 6
# The handler is imported by the workers alone: here it would be told of other tests' jobs.


def start_worker(ledger: Path, point: str, count: int, *options: str) -> subprocess.Popen[str]:
    environment = {**FAST, "TEST_HANDLERS": "tests.faults.ledger_handler", "TEST_HANDLER_LEDGER": str(ledger)}
    arguments = ("-m", "tests.faults.worker", point, str(count), "KILL", "--poll-interval", "0.1", *options)
    return spawn(*arguments, environment=environment, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("point", HANDLER_POINTS)
def test_a_worker_killed_in_a_delivery_loses_no_call(bench: Bench, tmp_path: Path, point: str, count: int) -> None:
    ledger = tmp_path / "told"
    jobs = queue_manager.queue_jobs([bench.job(exit_code=number % 2) for number in range(CALLS)])
    # `after_take` comes by with up to four calls at once, so its third time may not come.
    dying = start_worker(ledger, point, 1 if point == "after_take" else count)
    with ending(dying):
        assert dying.wait(timeout=60) == -signal.SIGKILL
    successor = start_worker(ledger, "never", 1, "--drain")
    with ending(successor):
        assert successor.wait(timeout=90) == 0
    told = Counter(line.split()[0] for line in ledger.read_text().splitlines())
    assert set(told) == {str(job.pk) for job in jobs}
    assert max(told.values()) <= 2, "told twice only where the kill came between the call and its record"
    states = HandlerCall.objects.values_list("state", flat=True)
    assert Counter(states) == {"delivered": CALLS}
