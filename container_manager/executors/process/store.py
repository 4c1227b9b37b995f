"""
The state of local executions on disk: one folder each, every step one atomic rename.

A folder holds ``spec.json``; ``ready`` until the one rename to ``started`` that a supervisor wins, or to
``removed`` that a remover wins; ``lock``, held by that supervisor from before the rename for its
whole life; ``supervisor.json`` and ``child.json``, who they are; ``output``; ``stop.json``, a stop that was
asked for; and last ``status.json``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from container_manager.exceptions import ExecutorUnavailableError


class Store:
    """The folder of one installation's executions, 0700 and ours."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """The folder exists, is ours and closed to others, or ``ExecutorUnavailableError`` says what to do."""
        with self.reached():
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.root.stat()
        if found.st_uid != os.getuid():
            raise ExecutorUnavailableError(
                f"The state directory {self.root} belongs to another user: set the option state_directory."
            )
        if found.st_mode & 0o077:
            self.root.chmod(0o700)

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """What the file system refuses is ``ExecutorUnavailableError``: nothing is known of any execution."""
        try:
            yield
        except OSError as error:
            raise ExecutorUnavailableError(f"The state directory {self.root} cannot be used: {error}.") from error

    def identity(self) -> str:
        """A random id of this folder, made once."""
        self.prepare()
        path = self.root / "engine-id"
        with contextlib.suppress(FileExistsError):
            temporary = self.root / f".engine-{secrets.token_hex(8)}"
            temporary.write_text(secrets.token_hex(16))
            try:
                os.link(temporary, path)
            finally:
                temporary.unlink()
        return path.read_text()

    def names(self) -> list[str]:
        """The folders of executions, prepared ones included."""
        with self.reached():
            try:
                return [entry.name for entry in os.scandir(self.root) if entry.name.startswith("cm-")]
            except FileNotFoundError:
                return []

    def add(self, name: str, spec: Mapping[str, Any]) -> bool:
        """A ready execution is there, complete or not at all; false = there was one of that name."""
        self.prepare()
        temporary = self.root / f".{name}-{secrets.token_hex(4)}"
        try:
            temporary.mkdir(mode=0o700)
            (temporary / "work").mkdir(mode=0o700)
            _write_private(temporary / "spec.json", json.dumps(spec))
            for empty in ("lock", "ready"):
                _write_private(temporary / empty, "")
            temporary.rename(self.root / name)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            if (self.root / name).is_dir():
                return False
            raise ExecutorUnavailableError(f"The state directory {self.root} cannot be written: {error}.") from error
        return True


class Execution:
    """One execution's folder."""

    def __init__(self, store: Store, name: str) -> None:
        self.name, self.path = name, store.root / name

    def exists(self) -> bool:
        return (self.path / "spec.json").exists()

    def read(self, file: str) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads((self.path / file).read_text())
        except FileNotFoundError:
            return None
        return content

    def is_ready(self) -> bool:
        return (self.path / "ready").exists()

    def is_started(self) -> bool:
        return (self.path / "started").exists()

    def win_removal(self) -> bool:
        """It will never start; false = it has been started, or removed."""
        try:
            (self.path / "ready").rename(self.path / "removed")
        except FileNotFoundError:
            return False
        return True

    def is_supervised(self) -> bool:
        """Whether its supervisor lives: it holds the lock."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def write_status(self, status: Mapping[str, Any]) -> None:
        """``status`` is its end, unless it has one."""
        temporary = self.path / f"status.{secrets.token_hex(4)}"
        _write_private(temporary, json.dumps(status))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, self.path / "status.json")
        temporary.unlink()

    def request_stop(self, grace_seconds: float) -> None:
        """The stop is written down; whichever comes first, the supervisor's look or a signal, heeds it."""
        temporary = self.path / f"stop.{secrets.token_hex(4)}"
        _write_private(temporary, json.dumps({"grace_seconds": grace_seconds}))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, self.path / "stop.json")
        temporary.unlink()

    def signal_supervisor(self) -> None:
        self._signal("supervisor.json", signal.SIGTERM, is_group=False)

    def kill_group(self) -> None:
        """The program's process group is ended, if it is still the one that was started."""
        self._signal("child.json", signal.SIGKILL, is_group=True)

    def delete(self) -> None:
        """The folder is gone; a crash in between leaves nothing that looks like an execution."""
        grave = self.path.with_name(f".gone-{self.name}-{secrets.token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)

    def _signal(self, file: str, number: int, *, is_group: bool) -> None:
        known = self.read(file)
        if known is None or process_start_time(known["pid"]) != known["started"]:
            return
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if is_group else os.kill)(known["pid"], number)


def process_start_time(pid: int) -> str:
    """When ``pid`` started, in ticks since the boot; empty when it is gone, or where there is no ``/proc``."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _write_private(path: Path, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
