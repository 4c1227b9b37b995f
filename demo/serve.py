"""The live demonstration: the admin on a web server, a worker, and jobs that keep coming. Ctrl-C ends all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event

from set_up import set_up

PORT = os.environ.get("PORT", "8000")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def running(*commands: Sequence[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """``manage.py`` with each of ``commands``, for as long as the block takes; each in its own process."""
    children = [
        subprocess.Popen([sys.executable, "manage.py", *command], start_new_session=True) for command in commands
    ]
    try:
        yield children
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
        for child in children:
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def main() -> int:
    password = set_up()
    from engines import choose_host  # noqa: PLC0415 - models can be imported only after setup()
    from trickle import QUEUES, trickle  # noqa: PLC0415

    from container_manager.models import ExecutorHost  # noqa: PLC0415

    choice = choose_host()
    ExecutorHost.objects.filter(name=choice.host).update(queues=list(QUEUES), max_concurrent_jobs=4)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with running(["containers", "worker"], ["runserver", f"127.0.0.1:{PORT}", "--noreload"]) as children:
        say(f"\n{choice.line}")
        say(f"\nThe dashboard:  http://127.0.0.1:{PORT}/admin/container_manager/")
        say(f"Log in as demo, password {password}. Jobs keep coming until Ctrl-C.\n")
        trickle(choice.image, stop)
        say("\nEnding the worker and the web server.")
        return max(abs(child.returncode or 0) for child in children)


if __name__ == "__main__":
    sys.exit(main())
