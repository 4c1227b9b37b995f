"""The process executor: each job under a supervisor that outlives the worker."""

from __future__ import annotations

import contextlib
import os
import re
import select
import struct
import sys
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final
from uuid import UUID

from container_manager import conf
from container_manager.exceptions import (
    ConfigurationError,
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorUnavailableError,
    NameConflictError,
    SpecificationError,
)
from container_manager.executors import forms
from container_manager.executors.base import Executor
from container_manager.executors.options import FileOptions, TimeOptions, option
from container_manager.executors.process import supervisor
from container_manager.executors.process.files import folders_in, get_files, put_files
from container_manager.executors.process.store import Execution, Store
from container_manager.specs import (
    LABEL_SPEC,
    ExecutionState,
    Folders,
    Handle,
    HostHealth,
    JobSpec,
    LogBatch,
    LogEntry,
    Observation,
    Stream,
    Usage,
)
from container_manager.states import Outcome

FRAME: Final = struct.Struct(">BQI")
STREAMS: Final = (Stream.STDOUT, Stream.STDERR)
NAME: Final = re.compile(r"cm-(?P<installation>[a-z0-9]+)-(?P<job>[0-9a-f]{32})-(?P<attempt>\d+)")
REFUSAL: Final = (
    "Local processes isolate nothing: jobs run as the worker's user. They are refused unless DEBUG is on or "
    "CONTAINER_MANAGER['ALLOW_PROCESS_EXECUTOR'] is True; or add a Docker host."
)
ANSWER_SECONDS: Final = 20.0
"""How long a supervisor may take to come up: it needs some hundredths of a second."""
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class ProcessOptions(FileOptions, TimeOptions):
    """The options of a host of local processes."""

    executor: ClassVar[str] = "The process executor"

    state_directory: str = option(
        "", forms.absolute_path, "where executions are kept; default: a folder per user in the temporary directory"
    )


class ProcessExecutor(Executor):
    """
    Jobs as processes of this machine. For development: memory and CPU limits and ``network="none"`` are not enforced.

    ``ProcessOptions`` lists its options. A job's environment holds nothing of the worker's. A service manager
    that kills the worker's whole control group ends its jobs too (systemd: ``KillMode=process``).
    """

    options_class: ClassVar[type[ProcessOptions]] = ProcessOptions
    supports_files: ClassVar[bool] = True
    supports_images: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any], *, installation: str) -> None:
        super().__init__(options, installation=installation)
        parsed = self.options_class.parse(options)
        base = parsed.state_directory or Path(tempfile.gettempdir()) / f"container-manager-{os.getuid()}"
        self._store = Store(Path(base) / installation)
        self.max_input_size, self.max_output_size = parsed.size_limits()
        self._children: set[int] = set()
        self._children_lock = threading.Lock()

    @classmethod
    def is_node_bound(cls, options: Mapping[str, Any]) -> bool:
        return True

    def create(self, spec: JobSpec) -> Handle:
        self._check_allowed()
        command = (*spec.entrypoint, *spec.command)
        if not command:
            raise SpecificationError("A local process needs a command: there is no image whose own could run.")
        for field in ("user", "network", "gpus"):
            # A definition that cuts its jobs off in production runs here too, as open as any local process is.
            if getattr(spec, field) and (field, spec.network) != ("network", "none"):
                raise SpecificationError(f"The process executor cannot do {field}={getattr(spec, field)!r}.")
        handle = Handle(spec.name, spec.name)
        if not self._store.add(spec.name, self._stored(spec, command)):
            known = Execution(self._store, spec.name).read("spec.json")
            if known is not None and known["labels"].get(LABEL_SPEC) != spec.digest:
                raise NameConflictError(
                    f"An execution {spec.name} exists with another specification; it is left alone."
                )
        return handle

    def start(self, handle: Handle) -> None:
        self._reap()
        execution = Execution(self._store, handle.name)
        with self._store.reached():
            answer = self._spawn_supervisor(execution) if execution.is_ready() else supervisor.NOT_STARTED
            if answer == supervisor.STARTED or execution.is_started():
                return
            if not execution.is_ready():
                self._store.prepare()
                raise ExecutionNotFoundError(
                    f"There is no execution {handle.name}, or it was removed before its start."
                )
        raise ExecutorUnavailableError(f"The supervisor of {handle.name} did not come up.")

    def observe(self, handles: Collection[Handle] | None = None) -> list[Observation]:
        self._reap()
        names = self._store.names() if handles is None else [handle.name for handle in handles]
        with self._store.reached():
            seen = [self._look(name) for name in names]
        return [observation for observation in seen if observation is not None]

    def logs(self, handle: Handle, since: str = "", *, limit_bytes: int = 1 << 20) -> LogBatch:
        execution = Execution(self._store, handle.name)
        if not execution.exists():
            raise ExecutionNotFoundError(f"There is no execution {handle.name}.")
        position, taken, entries = int(since or 0), 0, []
        try:
            file = (execution.path / "output").open("rb")
        except FileNotFoundError:
            return LogBatch((), str(position))
        with file:
            file.seek(position)
            while taken < limit_bytes:
                header = file.read(FRAME.size)
                if len(header) < FRAME.size:
                    break
                stream, moment, length = FRAME.unpack(header)
                data = file.read(length)
                if len(data) < length:
                    break
                entries.append(LogEntry(STREAMS[stream], data, datetime.fromtimestamp(moment / 1_000_000, UTC)))
                position += FRAME.size + length
                taken += length
            has_more = taken >= limit_bytes and file.read(1) != b""
        return LogBatch(tuple(entries), str(position), has_more)

    def stop(self, handle: Handle, grace_seconds: float) -> None:
        execution = Execution(self._store, handle.name)
        if not execution.exists() or execution.is_ready():
            return
        with self._store.reached(), contextlib.suppress(FileNotFoundError):
            execution.request_stop(grace_seconds)
            execution.signal_supervisor()

    def remove(self, handle: Handle) -> None:
        execution = Execution(self._store, handle.name)
        if not execution.exists():
            return
        if not execution.win_removal():
            seen = self._look(handle.name)
            if seen is not None and seen.state is ExecutionState.RUNNING:
                raise ExecutionRunningError(f"The execution {handle.name} is running; stop it first.")
        execution.delete()

    def discard(self, handle: Handle) -> None:
        execution = Execution(self._store, handle.name)
        if not execution.exists():
            return
        if not execution.win_removal():
            raise ExecutionRunningError(f"The execution {handle.name} was started.")
        execution.delete()

    def usage(self, handle: Handle) -> Usage:
        status = Execution(self._store, handle.name).read("status.json") or {}
        return Usage(memory_peak_bytes=status.get("memory_peak_bytes"), cpu_seconds=status.get("cpu_seconds"))

    def check(self) -> HostHealth:
        self._check_allowed()
        return HostHealth(engine_id=self._store.identity(), version=f"{sys.platform} {os.uname().release}")

    def folders(self, name: str) -> Folders:
        return folders_in(self._store.root / name)

    def put_files(self, spec: JobSpec, handle: Handle, files: Iterable[tuple[str, BinaryIO, int]]) -> None:
        execution = Execution(self._store, handle.name)
        if execution.is_ready():
            with self._store.reached():
                put_files(self.folders(handle.name), files, spec.secret_files)

    def get_files(self, handle: Handle, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO, int]]:
        if not Execution(self._store, handle.name).exists():
            raise ExecutionNotFoundError(f"There is no execution {handle.name}.")
        return get_files(self.folders(handle.name), paths)

    def _check_allowed(self) -> None:
        if not conf.is_process_executor_allowed():
            raise ConfigurationError(REFUSAL)

    def _stored(self, spec: JobSpec, command: tuple[str, ...]) -> dict[str, Any]:
        home = str(self._store.root / spec.name / "work")
        environment = {"PATH": DEFAULT_PATH, "HOME": home, "LANG": "C.UTF-8", **spec.container_environment()}
        return {
            "labels": spec.labels,
            "command": command,
            "environment": environment,
            "working_directory": spec.working_directory or home,
        }

    def _spawn_supervisor(self, execution: Execution) -> bytes:
        """What the supervisor says of its start; empty when it says nothing in time."""
        answer, report = os.pipe()
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", supervisor.__file__, str(execution.path)],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, report, supervisor.REPORT),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, str(execution.path / "trouble"), os.O_WRONLY | os.O_CREAT, 0o600),
                ],
                setsid=sys.platform == "linux",
            )
            with self._children_lock:
                self._children.add(pid)
            os.close(report)
            report = -1
            is_answered = select.select([answer], [], [], ANSWER_SECONDS)[0]
            return os.read(answer, 1) if is_answered else b""
        except FileNotFoundError:
            # Its folder went away meanwhile: it was removed.
            return b""
        finally:
            os.close(answer)
            if report >= 0:
                os.close(report)

    def _reap(self) -> None:
        """Supervisors of ours that have ended leave no zombies."""
        with self._children_lock:
            for pid in list(self._children):
                try:
                    ended, _ = os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    ended = pid
                if ended:
                    self._children.discard(pid)

    def _look(self, name: str) -> Observation | None:
        parts = NAME.fullmatch(name)
        execution = Execution(self._store, name)
        try:
            status = execution.read("status.json")
            if parts is None or (status is None and not execution.exists()):
                return None
            if status is not None:
                state = ExecutionState.EXITED
            elif execution.is_ready():
                state = ExecutionState.CREATED
            elif execution.is_supervised():
                state = ExecutionState.RUNNING
            elif not execution.is_started():
                return None
            else:
                # Whoever held the lock may have ended well since the first look.
                status, state = execution.read("status.json") or self._bury(execution), ExecutionState.EXITED
        except FileNotFoundError:
            return None
        status = status or {}
        return Observation(
            handle=Handle(name, name),
            installation=parts["installation"],
            job_id=UUID(hex=parts["job"]),
            attempt=int(parts["attempt"]),
            state=state,
            exit_code=status.get("exit_code"),
            reason=Outcome(status["reason"]) if status.get("reason") else None,
            error=status.get("error", ""),
            started_at=_moment(status.get("started_at")),
            finished_at=_moment(status.get("finished_at")),
        )

    def _bury(self, execution: Execution) -> dict[str, Any] | None:
        """Nobody supervises it and it has no status: say whether it can have run, and end what is left of it."""
        if execution.read("child.json") is None:
            status = _ended("infra_error", "Its supervisor ended before the program began.")
        else:
            execution.kill_group()
            status = _ended("lost", "Its supervisor was killed; the program's end was not seen.")
        execution.write_status(status)
        return execution.read("status.json")


def _ended(reason: str, error: str) -> dict[str, Any]:
    return {"exit_code": None, "reason": reason, "error": error, "finished_at": datetime.now(UTC).timestamp()}


def _moment(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, UTC)
