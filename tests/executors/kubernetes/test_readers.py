"""A process that follows a cluster leaves quietly: no thread of ours is left when Python is taken down."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Final

import pytest

from container_manager.executors.kubernetes import KubernetesExecutor, readers
from tests.executors.kubernetes.running import host_options, kubernetes_executor, launch, shell, wait_until
from tests.processes import child_environment

FOLLOWS: Final = f"""
import atexit, sys, threading
atexit.register(lambda: print("left:", [thread.name for thread in threading.enumerate()]))  # after those of ours
import django
django.setup()
from container_manager.executors.kubernetes import KubernetesExecutor
from container_manager.specs import Handle
executor = KubernetesExecutor({host_options()!r}, installation=sys.argv[1])
print("seen:", len(executor.observe()))
if len(sys.argv) > 2:
    executor.stop(Handle(sys.argv[2]), 20)
print("busy:", sorted(thread.name.partition("cm-")[0] for thread in threading.enumerate()))
"""


@pytest.fixture
def executor() -> Iterator[KubernetesExecutor]:
    with kubernetes_executor() as one:
        yield one


def said_by(*arguments: str) -> list[str]:
    """What a process says that follows the cluster and ends well."""
    command = [sys.executable, "-c", FOLLOWS, *arguments]
    ended = subprocess.run(
        command, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        env=child_environment(),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    return ended.stdout.splitlines()


@pytest.mark.kubernetes
@pytest.mark.django_db
def test_a_process_ends_its_watches_before_it_exits(executor: KubernetesExecutor) -> None:
    assert said_by(executor.installation) == [
        "seen: 0", "busy: ['MainThread', 'kubernetes-Jobs', 'kubernetes-pods']", "left: ['MainThread']",
    ]  # fmt: skip


@pytest.mark.kubernetes
@pytest.mark.django_db
def test_a_process_that_hears_the_last_words_of_a_job_exits_before_it_ends(executor: KubernetesExecutor) -> None:
    handle = launch(executor, shell(executor, "trap 'sleep 15; exit' TERM; echo began; while :; do sleep 0.1; done"))
    wait_until(lambda: executor.logs(handle).entries, what="its first words")
    seen, busy, left = said_by(executor.installation, handle.name)
    assert (seen, left) == ("seen: 1", "left: ['MainThread']")
    assert "'last-words-'" in busy


def test_one_that_does_not_end_holds_up_the_exit_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(readers, "_running", {})
    quiet, deaf = threading.Event(), threading.Event()
    threads = [readers.start("quiet", quiet.wait, quiet.set), readers.start("deaf", deaf.wait, lambda: None)]
    readers.end_all()
    assert [thread.is_alive() for thread in threads] == [False, True]
    deaf.set()
    threads[1].join()
