"""Real processes for tests: they share the test's database, and only these are ever ended, by id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def child_environment(**extra: str) -> dict[str, str]:
    """The environment in which a child finds this test's database and settings."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "TEST_DATABASE": settings.TEST_DATABASE,
        "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"]),
        **extra,
    }


def spawn(
    *arguments: str, environment: Mapping[str, str] | None = None, stdout: int | IO[Any] | None = subprocess.PIPE
) -> subprocess.Popen[str]:
    """``python arguments`` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=child_environment(**(environment or {})),
        cwd=ROOT,
        text=True,
        stdout=stdout,
        stderr=subprocess.STDOUT,
    )


def spawn_worker(
    *arguments: str, environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """``containers worker arguments``."""
    return spawn("-m", "django", "containers", "worker", *arguments, environment=environment, **options)


@contextlib.contextmanager
def ending(*processes: subprocess.Popen[str]) -> Iterator[None]:
    """Whatever happens, none of ``processes`` outlives the block."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(timeout=30)
            if process.stdout:
                process.stdout.close()


def wait_until(condition: Callable[[], object], *, seconds: float = 60.0, what: str = "the condition") -> None:
    """Returns as soon as ``condition()`` is true; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)
