"""
The fake executor: scripted outcomes instead of an engine, for tests and benchmarks.

A job ends at once with exit code 0 unless a script says otherwise. A script comes with the
job, as its command (``Script(exit_code=3).command()``), or from the test:
``engine().script(lambda spec: Script(exit_code=3) if "x" in spec.command else None)``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, BinaryIO, ClassVar, Final

from container_manager.exceptions import (
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorError,
    ExecutorUnavailableError,
    ImageNotFoundError,
    NameConflictError,
    SpecificationError,
)
from container_manager.executors import forms
from container_manager.executors.base import Executor
from container_manager.executors.options import FileOptions, TimeOptions, option
from container_manager.specs import (
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

PROGRAM: Final = "fake"
SIGTERM_CODE, SIGKILL_CODE, MISSING_CODE = 143, 137, 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """
    What an execution does. Times in seconds.

    ``seconds=None`` = it runs until it is stopped or the test says ``finish``. ``show`` lists
    variables whose values are printed, one a line; ``"$PWD"`` is the working directory.
    ``create_error`` and ``start_error`` name an error: ``image``, ``specification``, ``unavailable``, ``transient``.
    """

    exit_code: int | None = 0
    stdout: str = ""
    stderr: str = ""
    flood_bytes: int = 0
    show: tuple[str, ...] = ()
    seconds: float | None = 0.0
    ignores_term: bool = False
    is_missing: bool = False
    reason: str = ""
    """The outcome that the engine tells of its end, ``oom`` for example; empty = the exit code says enough."""
    error: str = ""
    """What the engine says of its end, or of why it did not begin."""
    is_transient: bool = True
    """Whether the engine thinks that another try could end otherwise."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """What it leaves in its output folder: paths and contents; ``result.json`` is the job's result."""
    create_error: str = ""
    start_error: str = ""

    def command(self) -> list[str]:
        """A job's command that carries this script."""
        return [PROGRAM, json.dumps({name: value for name, value in asdict(self).items() if value != _DEFAULTS[name]})]

    @classmethod
    def from_command(cls, command: tuple[str, ...]) -> Script | None:
        if len(command) != 2 or command[0] != PROGRAM:
            return None
        values = json.loads(command[1])
        return cls(**{**values, "show": tuple(values.get("show", ()))})


_DEFAULTS: Final = asdict(Script())
_ERRORS: Final[dict[str, type[ExecutorError]]] = {
    "image": ImageNotFoundError,
    "specification": SpecificationError,
    "unavailable": ExecutorUnavailableError,
    "transient": ExecutorError,
}


@dataclass(slots=True)
class _Execution:
    spec: JobSpec
    script: Script
    output: tuple[LogEntry, ...] = ()
    started: float | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    exit_code: int | None = None
    reason: Outcome | None = None
    kill_at: float | None = None
    inputs: dict[str, bytes] = field(default_factory=dict)

    @property
    def state(self) -> ExecutionState:
        if self.started is None:
            return ExecutionState.CREATED
        return ExecutionState.RUNNING if self.finished_at is None else ExecutionState.EXITED

    def end(self, exit_code: int | None, reason: Outcome | None = None) -> None:
        if self.finished_at is None:
            self.exit_code, self.reason, self.finished_at = exit_code, reason, datetime.now(UTC)

    def advance(self) -> None:
        """What time has brought since the last look."""
        if self.started is None or self.finished_at is not None:
            return
        now = time.monotonic()
        if self.script.seconds is not None and now - self.started >= self.script.seconds:
            self.end(self.script.exit_code, Outcome(self.script.reason) if self.script.reason else None)
        elif self.kill_at is not None and now >= self.kill_at:
            self.end(SIGKILL_CODE)


@dataclass(slots=True)
class FakeEngine:
    """What stands for an engine: its executions, as long as the process lives. Every executor of its name shares it."""

    name: str
    executions: dict[str, _Execution] = field(default_factory=dict)
    starts: list[str] = field(default_factory=list)
    """Names of executions in the order in which they began: a name twice would be a job run twice."""
    is_reachable: bool = True
    _chooser: Callable[[JobSpec], Script | None] = field(default=lambda spec: None)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def script(self, chooser: Callable[[JobSpec], Script | None]) -> None:
        """From now on ``chooser`` gives the script of a job that carries none; ``None`` = the default."""
        self._chooser = chooser

    def finish(self, name: str, exit_code: int = 0) -> None:
        """The running execution ``name`` has ended."""
        with self._lock:
            self.executions[name].end(exit_code)

    def forget(self, name: str) -> None:
        """The engine does not know ``name`` any more, as after a disaster."""
        with self._lock:
            self.executions.pop(name, None)

    def reset(self) -> None:
        """As new."""
        with self._lock:
            self.executions.clear()
            self.starts.clear()
            self.is_reachable = True
            self._chooser = lambda spec: None

    def choose(self, spec: JobSpec) -> Script:
        return Script.from_command(spec.command) or self._chooser(spec) or Script()


_engines: dict[str, FakeEngine] = {}


def engine(name: str = "default") -> FakeEngine:
    """The engine of every fake host whose option ``engine`` is ``name``."""
    return _engines.setdefault(name, FakeEngine(name))


@dataclass(frozen=True, kw_only=True)
class FakeOptions(FileOptions, TimeOptions):
    """The options of a fake host."""

    executor: ClassVar[str] = "The fake executor"

    engine: str = option("default", forms.text, "which of the process's fake engines it talks to")


class FakeExecutor(Executor):
    """See the module. ``FakeOptions`` lists its options."""

    options_class: ClassVar[type[FakeOptions]] = FakeOptions
    supports_files: ClassVar[bool] = True
    supports_images: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any], *, installation: str) -> None:
        super().__init__(options, installation=installation)
        parsed = self.options_class.parse(options)
        self._engine = engine(parsed.engine)
        self.max_input_size, self.max_output_size = parsed.size_limits()

    def create(self, spec: JobSpec) -> Handle:
        with self._reached() as executions:
            known = executions.get(spec.name)
            if known is not None:
                if known.spec.labels != spec.labels:
                    raise NameConflictError(f"An execution {spec.name} exists with other labels; it is left alone.")
                return Handle(spec.name, spec.name)
            script = self._engine.choose(spec)
            _raise(script.create_error, script.error)
            executions[spec.name] = _Execution(spec, script)
        return Handle(spec.name, spec.name)

    def start(self, handle: Handle) -> None:
        with self._reached() as executions:
            execution = executions.get(handle.name)
            if execution is None:
                raise ExecutionNotFoundError(f"There is no execution {handle.name}.")
            if execution.started is not None:
                return
            _raise(execution.script.start_error, execution.script.error)
            self._engine.starts.append(handle.name)
            execution.started, execution.started_at = time.monotonic(), datetime.now(UTC)
            execution.output = tuple(_output(execution))
            if execution.script.is_missing:
                execution.end(MISSING_CODE, Outcome.CONFIG_ERROR)

    def observe(self, handles: Collection[Handle] | None = None) -> list[Observation]:
        with self._reached() as executions:
            names = list(executions) if handles is None else [handle.name for handle in handles]
            found = [executions[name] for name in names if name in executions]
            return [_observation(execution) for execution in found if execution.spec.installation == self.installation]

    def logs(self, handle: Handle, since: str = "", *, limit_bytes: int = 1 << 20) -> LogBatch:
        with self._reached() as executions:
            if handle.name not in executions:
                raise ExecutionNotFoundError(f"There is no execution {handle.name}.")
            output = executions[handle.name].output
        position, taken = int(since or 0), 0
        start = position
        while position < len(output) and taken < limit_bytes:
            taken += len(output[position].data)
            position += 1
        return LogBatch(output[start:position], str(position), position < len(output))

    def stop(self, handle: Handle, grace_seconds: float) -> None:
        with self._reached() as executions:
            execution = executions.get(handle.name)
            if execution is None or execution.state is not ExecutionState.RUNNING:
                return
            if execution.script.ignores_term:
                execution.kill_at = execution.kill_at or time.monotonic() + grace_seconds
            else:
                execution.end(SIGTERM_CODE)

    def remove(self, handle: Handle) -> None:
        with self._reached() as executions:
            execution = executions.get(handle.name)
            if execution is None:
                return
            execution.advance()
            if execution.state is ExecutionState.RUNNING:
                raise ExecutionRunningError(f"The execution {handle.name} is running; stop it first.")
            del executions[handle.name]

    def discard(self, handle: Handle) -> None:
        with self._reached() as executions:
            execution = executions.get(handle.name)
            if execution is None:
                return
            if execution.state is not ExecutionState.CREATED:
                raise ExecutionRunningError(f"The execution {handle.name} was started.")
            del executions[handle.name]

    def usage(self, handle: Handle) -> Usage:
        return Usage()

    def folders(self, name: str) -> Folders:
        return Folders("/cm/input", "/cm/output", "/run/secrets")

    def put_files(self, spec: JobSpec, handle: Handle, files: Iterable[tuple[str, BinaryIO, int]]) -> None:
        contents = {path: content.read() for path, content, _ in files}
        with self._reached() as executions:
            if handle.name in executions:
                executions[handle.name].inputs = contents

    def get_files(self, handle: Handle, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO, int]]:
        with self._reached() as executions:
            if handle.name not in executions:
                raise ExecutionNotFoundError(f"There is no execution {handle.name}.")
            left = executions[handle.name].script.files
        for path in paths:
            if path in left:
                found = left[path]
                content = found if isinstance(found, bytes) else found.encode()
                yield path, BytesIO(content), len(content)

    def check(self) -> HostHealth:
        with self._reached():
            return HostHealth(engine_id=f"fake-{self._engine.name}", version="1")

    def _reached(self) -> _Reached:
        return _Reached(self._engine)


class _Reached:
    """The engine's executions under its lock, or the error of an engine that does not answer."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def __enter__(self) -> dict[str, _Execution]:
        if not self._engine.is_reachable:
            raise ExecutorUnavailableError(f"The fake engine {self._engine.name!r} was made unreachable.")
        self._engine._lock.acquire()
        return self._engine.executions

    def __exit__(self, *_: object) -> None:
        self._engine._lock.release()


def _raise(error: str, message: str) -> None:
    if error:
        raise _ERRORS[error](message or f"The script says so: {error}.")


def _output(execution: _Execution) -> Iterator[LogEntry]:
    script, environment = execution.script, execution.spec.container_environment()
    environment["$PWD"] = execution.spec.working_directory
    shown = "".join(f"{environment.get(name, '')}\n" for name in script.show)
    for stream, text in ((Stream.STDOUT, script.stdout), (Stream.STDERR, script.stderr), (Stream.STDOUT, shown)):
        if text:
            yield LogEntry(stream, text.encode(), execution.started_at)
    for start in range(0, script.flood_bytes, 65_536):
        yield LogEntry(Stream.STDOUT, b"x" * min(65_536, script.flood_bytes - start), execution.started_at)


def _observation(execution: _Execution) -> Observation:
    execution.advance()
    spec = execution.spec
    return Observation(
        handle=Handle(spec.name, spec.name),
        installation=spec.installation,
        job_id=spec.job_id,
        attempt=spec.attempt,
        state=execution.state,
        exit_code=execution.exit_code,
        reason=execution.reason,
        error=execution.script.error if execution.state is ExecutionState.EXITED else "",
        is_transient=execution.script.is_transient,
        started_at=execution.started_at,
        finished_at=execution.finished_at,
    )
