"""A process that calls ``launch_job`` on every job it is given, in an order of its own, and counts the successes."""

from __future__ import annotations

import random
import sys

import django

django.setup()

from container_manager import queue_manager  # noqa: E402
from container_manager.models import ContainerJob  # noqa: E402


def main(seed: str) -> None:
    jobs = list(ContainerJob.objects.all())
    random.Random(seed).shuffle(jobs)  # noqa: S311
    launched = 0
    for job in jobs:
        answer = queue_manager.launch_job(job)
        launched += answer["success"]
    sys.stdout.write(f"{launched}\n")


if __name__ == "__main__":
    main(sys.argv[1])
