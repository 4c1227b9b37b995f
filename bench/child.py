"""
One action of one system, in a process of its own: ``python -m bench.child own drain '{"count": 100}'``.

The action prepares itself and then waits at the start line, so that neither imports nor
connecting are measured and several processes start together. What it returns is printed as JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import django
import psutil

ROOT: Final = Path(__file__).resolve().parent.parent
READY, ANSWER = "bench: ready", "bench: answer "


class BenchError(Exception):
    """A measurement that came to nothing; its text says why."""


class Child:
    """A started process that waits at the start line, or is on its way there."""

    def __init__(self, system: str, action: str, *, kind: str, name: str, arguments: dict[str, Any]) -> None:
        self._what = f"{system}.{action}({arguments})"
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "bench.settings",
            "BENCH_SYSTEM": system, "TEST_DATABASE": kind, "TEST_DATABASE_NAME": name,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.child", system, action, json.dumps(arguments)],
            cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors.extend(self._process.stderr)

    def _line(self, prefix: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(prefix):
                return line.removeprefix(prefix)
        self._process.wait(timeout=30)
        self._reader.join(timeout=5)
        raise BenchError(f"{self._what} ended with {self._process.returncode}:\n{''.join(self._errors[-30:])}")

    def wait_until_ready(self) -> None:
        self._line(READY)

    def send(self, line: str = "go") -> None:
        """Off from the start line; later lines are the action's own."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answer(self, timeout: float) -> dict[str, Any]:
        """What the action returned; it is killed after ``timeout`` seconds, which is a ``BenchError``."""
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        try:
            answer: dict[str, Any] = json.loads(self._line(ANSWER))
        finally:
            timer.cancel()
        self._process.wait(timeout=60)
        return answer

    def kill(self) -> None:
        """It is gone with its own children, whatever it was doing."""
        if self._process.poll() is None:
            family = psutil.Process(self.pid).children(recursive=True)
            self._process.kill()
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait(timeout=30)


def call(system: str, action: str, *, kind: str, name: str, timeout: float = 600.0, **arguments: Any) -> dict[str, Any]:
    """What one ``action`` of ``system`` returns."""
    return race([(system, action, arguments)], kind=kind, name=name, timeout=timeout)[0]


def race(
    entries: Sequence[tuple[str, str, dict[str, Any]]], *, kind: str, name: str, timeout: float
) -> list[dict[str, Any]]:
    """What several actions return that left the start line together."""
    children = [
        Child(system, action, kind=kind, name=name, arguments=arguments) for system, action, arguments in entries
    ]
    try:
        for child in children:
            child.wait_until_ready()
        for child in children:
            child.send()
        return [child.answer(timeout) for child in children]
    finally:
        for child in children:
            child.kill()


@contextmanager
def forgotten(system: str, kind: str, name: str) -> Iterator[None]:
    """Afterwards nothing is left of what is in no database."""
    try:
        yield
    finally:
        if system == "celery":
            call(system, "forget", kind=kind, name=name)


class StartLine:
    """What an action calls when it is prepared; returns when it may begin."""

    def __init__(self) -> None:
        self.was_reached = False

    def __call__(self) -> None:
        self.was_reached = True
        print(READY, flush=True)
        sys.stdin.readline()


def main(system: str, action: str, arguments: str) -> None:
    logging.disable(logging.WARNING)
    django.setup()
    module = importlib.import_module(f"bench.systems.{system}")
    line = StartLine()
    answer = getattr(module, action)(line, **json.loads(arguments))
    if not line.was_reached:
        line()
    print(ANSWER + json.dumps(answer or {}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
