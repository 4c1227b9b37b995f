"""The whole life of a queue in one go: a handful of jobs with different fates, a worker, and what came of it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from set_up import set_up


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    set_up()
    from engines import choose_host  # noqa: PLC0415 - models can be imported only after setup()

    from container_manager import queue_manager  # noqa: PLC0415
    from container_manager.models import ContainerJob  # noqa: PLC0415

    choice = choose_host()
    say(choice.line)

    say("\nSix jobs, queued in one transaction:")
    with transaction.atomic():
        fates = [
            ("prints two lines", {"command": ["sh", "-c", "echo hello from $CM_JOB_ID; echo a warning >&2"]}),
            ("exits with 3", {"command": ["sh", "-c", "echo about to fail; exit 3"]}),
            ("runs too long", {"command": "sleep 60", "timeout_seconds": 2}),
            ("does not exist", {"command": "no-such-program --help"}),
            (
                "waits three seconds",
                {"command": "echo on time", "scheduled_for": timezone.now() + timedelta(seconds=3)},
            ),
            ("overtakes them all", {"command": "echo first", "priority": ContainerJob.PRIORITY_HIGH}),
        ]
        jobs = [
            queue_manager.queue_job(ContainerJob.objects.create(name=name, image=choice.image, **fields))
            for name, fields in fates
        ]
    for job in jobs:
        say(f"  {job.name:<20} priority {job.priority}  {job.command}")

    say("\nA worker, until the queue is empty: manage.py containers worker --drain --host " + choice.host)
    arguments = ["--drain", "--host", choice.host, "--concurrency", "2"]
    worker = subprocess.run([sys.executable, "manage.py", "containers", "worker", *arguments], timeout=55, check=False)
    say("\nWhat came of them:")
    say(f"  {'name':<20} {'status':<10} {'exit code':>9}  {'outcome':<13} error")
    for job in jobs:
        job.refresh_from_db()
        say(f"  {job.name:<20} {job.status:<10} {job.exit_code!s:>9}  {job.outcome:<13} {job.error[:60]}")
    say("\nTheir output:")
    for job in jobs:
        for line in job.output().splitlines():
            say(f"  {job.name:<20} | {line}")
    stats = queue_manager.get_queue_stats()
    say("\nThe queue now: " + ", ".join(f"{count} {name}" for name, count in stats.items()))
    say("\nThe dashboard, with jobs that keep coming: make serve, then http://127.0.0.1:8000/admin/container_manager/")
    return worker.returncode


if __name__ == "__main__":
    sys.exit(main())
