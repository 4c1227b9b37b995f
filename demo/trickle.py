"""Work for the live demonstration: a few kinds of jobs, one every few seconds, some of which go wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any, Final

from django.utils import timezone

from container_manager import queue_manager
from container_manager.models import ContainerJob

STEPS: Final = """
i=0
while [ $i -lt {steps} ]; do
  i=$((i + 1))
  [ $((i % 3)) -ne 0 ] || echo "::progress $((i * 100 / {steps})) step $i of {steps}"
  printf '\\033[36m%s\\033[0m step %s of {steps}\\n' "$(date +%H:%M:%S)" $i
  [ $((i % 4)) -ne 0 ] || echo "step $i was slow" >&2
  sleep {pause}
done
printf '\\033[32mdone\\033[0m\\n'
"""


def _steps(steps: int, pause: float) -> dict[str, Any]:
    return {"command": STEPS.format(steps=steps, pause=pause), "shell": True}


def _thumbnails() -> dict[str, Any]:
    count = random.randint(2, 9)  # noqa: S311 - a demonstration
    return {"name": f"thumbnails of album {random.randint(100, 999)}", **_steps(count, 0.3)}  # noqa: S311


def _report() -> dict[str, Any]:
    day = timezone.localdate() - timedelta(days=random.randint(0, 30))  # noqa: S311
    return {"name": f"sales report {day}", "queue": "reports", **_steps(random.randint(5, 20), 0.8)}  # noqa: S311


def _video() -> dict[str, Any]:
    return {
        "name": f"transcode clip {random.randint(10, 99)}",  # noqa: S311
        "queue": "media", "priority": ContainerJob.PRIORITY_LOW, "labels": {"team": "video"},
        **_steps(random.randint(20, 60), 1.0),  # noqa: S311
    }  # fmt: skip


def _urgent() -> dict[str, Any]:
    return {"name": "invoice mail", "command": "echo sent", "priority": ContainerJob.PRIORITY_HIGH}


def _feed() -> dict[str, Any]:
    script = "echo fetching the price feed; sleep 1; echo 'feed.example: connection refused' >&2; exit 2"
    return {"name": "price feed", "command": script, "shell": True, "retry_policy": "never"}


def _flaky() -> dict[str, Any]:
    script = '[ "$CM_ATTEMPT" -gt 1 ] || { echo "the warehouse is busy" >&2; exit 75; }; echo synced'
    return {"name": "warehouse sync", "command": script, "shell": True, "retry_policy": "on_failure"}


def _too_long() -> dict[str, Any]:
    return {"name": "search index", "queue": "reports", "timeout_seconds": 5, **_steps(30, 1.0)}


def _later() -> dict[str, Any]:
    return {"name": "reminder", "command": "echo on time", "scheduled_for": timezone.now() + timedelta(seconds=45)}


KINDS: Final[tuple[tuple[Callable[[], dict[str, Any]], int], ...]] = (
    (_thumbnails, 40), (_report, 16), (_video, 5), (_urgent, 12), (_feed, 7), (_flaky, 8), (_too_long, 3), (_later, 9),
)  # fmt: skip
"""Each kind and how often it comes."""
QUEUES: Final = ("default", "reports", "media")


def trickle(image: str, stop: Event, *, pause_seconds: float = 3.0) -> None:
    """Until ``stop`` is set there is a new job every few seconds, and now and then a handful at once."""
    kinds, weights = zip(*KINDS, strict=True)
    while not stop.is_set():
        count = 12 if random.random() < 0.04 else 1  # noqa: S311
        makers = random.choices(kinds, weights, k=count)  # noqa: S311
        queue_manager.queue_jobs([ContainerJob(image=image, **make()) for make in makers])
        stop.wait(random.uniform(0.3, 1.7) * pause_seconds)  # noqa: S311
