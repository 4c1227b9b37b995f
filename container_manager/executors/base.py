"""The interface of every executor: where jobs run. ``testing.executor_contract`` is its behaviour suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, ClassVar

from container_manager.exceptions import ExecutionRunningError
from container_manager.executors.options import Options
from container_manager.specs import (
    ExecutionState,
    Folders,
    Handle,
    HostHealth,
    JobSpec,
    LogBatch,
    Observation,
    PullProgress,
    Usage,
)


class EndStream(ABC):
    """
    Executions as they end, for as long as the engine tells. A hint: some may be missing or told early.

    One thread iterates and waits for the next; ``ExecutorError`` when the engine breaks off.
    """

    @abstractmethod
    def __iter__(self) -> Iterator[Handle]:
        """The executions that end from now on."""

    @abstractmethod
    def close(self) -> None:
        """The iteration ends soon. From any thread."""


class Executor(ABC):
    """
    One engine, as one host's ``options`` describe it, seen by one installation.

    Every method may be called from several threads at once and returns within a bounded
    time. Errors are ``ExecutorError``; anything unforeseen an engine's library raises is
    mapped to one. An execution is found by its name alone, also by another process.
    """

    options_class: ClassVar[type[Options] | None] = None
    """Declares its options. Without one, ``validate_options`` alone knows them."""
    supports_files: ClassVar[bool] = False
    """Can ``put_files`` and ``get_files`` be used?"""
    supports_ends: ClassVar[bool] = False
    """Can ``ends`` be used?"""
    has_live_usage: ClassVar[bool] = False
    """Is ``usage`` to be asked while an execution runs, since nothing is left of it at the end?"""
    max_input_size: int | None = None
    """Bytes that the input files of an execution may have together; ``None`` = no limit."""
    max_output_size: int | None = None
    """Bytes that its output files may have together."""
    supports_images: ClassVar[bool] = True
    """Does a job need an image here?"""
    observe_interval_seconds: ClassVar[float] = 0.0
    """Seconds between two looks at all executions that the engine should not have to bear more often."""

    def __init__(self, options: Mapping[str, Any], *, installation: str) -> None:
        """``options`` passed ``validate_options``. No engine is contacted."""
        self.options = options
        self.installation = installation
        self.on_progress: Callable[[PullProgress], None] | None = None
        """Called while ``create`` waits for an image, in the thread that pulls it; returns at once."""

    @classmethod
    def validate_options(cls, options: Mapping[str, Any]) -> None:
        """Raise ``ValidationError`` naming the option that is unknown or wrong, and the right form."""
        if cls.options_class is not None:
            cls.options_class.parse(options)

    @classmethod
    def is_node_bound(cls, options: Mapping[str, Any]) -> bool:
        """Can only workers on the host's own node reach the engine of ``options``, which are valid?"""
        return False

    @abstractmethod
    def create(self, spec: JobSpec) -> Handle:
        """
        Prepare everything under ``spec.name``, with no effect on the user's work.

        Idempotent: a prepared, running or ended execution of that name with our labels is
        adopted as it is. ``NameConflictError`` when it is not ours.
        ``ImageNotFoundError`` and ``SpecificationError`` mean that nothing was created.
        """

    @abstractmethod
    def start(self, handle: Handle) -> None:
        """
        The user's work has begun, once, or the execution has ended for a reason ``observe`` tells.

        Idempotent: starting a running or ended execution does nothing. ``ExecutionNotFoundError``
        when it was removed, and then nothing runs. ``SpecificationError`` when the engine
        refuses to run it; the execution then stays, not started. After
        ``ExecutorUnavailableError`` only ``observe`` can tell whether it runs.
        """

    @abstractmethod
    def observe(self, handles: Collection[Handle] | None = None) -> list[Observation]:
        """
        What the engine knows of ``handles``, or of every execution of this installation.

        What the engine does not know is left out. One bulk request, not one per handle,
        as far as the engine allows.
        """

    def ends(self) -> EndStream:
        """The executions of this installation as they end. No engine is contacted before the iteration."""
        raise NotImplementedError(f"{type(self).__name__} has supports_ends = False")

    @abstractmethod
    def logs(self, handle: Handle, since: str = "", *, limit_bytes: int = 1 << 20) -> LogBatch:
        """
        Output after the cursor ``since`` (``""`` = from the beginning), about ``limit_bytes`` at most.

        Never waits for more. Once ``observe`` has said ``exited``, reading until ``has_more``
        is false gives all that was written.
        """

    @abstractmethod
    def stop(self, handle: Handle, grace_seconds: float) -> None:
        """
        The execution has ended, or ends at the latest ``grace_seconds`` from now: SIGTERM, then SIGKILL.

        Whole process tree. Returns without waiting for the end where the engine sees to it
        itself. No error when it has ended already or is unknown.
        """

    @abstractmethod
    def remove(self, handle: Handle) -> None:
        """
        The execution and what it kept are gone; unknown is no error.

        Never ends a running one: ``ExecutionRunningError``.
        """

    def discard(self, handle: Handle) -> None:
        """
        The execution is gone, and was never started; unknown is no error.

        ``ExecutionRunningError`` when it was, however late and short: it runs, has ended and stays, or is gone.
        What an engine does between the look and the removal is missed here: executors that can tell say so.
        """
        seen = next(iter(self.observe([handle])), None)
        if seen is not None and seen.state is not ExecutionState.CREATED:
            raise ExecutionRunningError(f"{handle.name} was started.")
        self.remove(handle)

    @abstractmethod
    def check(self) -> HostHealth:
        """The engine answers. ``ExecutorUnavailableError`` or ``ConfigurationError`` with what to do otherwise."""

    def usage(self, handle: Handle) -> Usage:
        """What the execution has used so far; empty where the engine cannot tell."""
        return Usage()

    def folders(self, name: str) -> Folders | None:
        """Where the execution ``name`` finds its files, as its program sees it; ``None`` without ``supports_files``."""
        return None

    def put_files(self, spec: JobSpec, handle: Handle, files: Iterable[tuple[str, BinaryIO, int]]) -> None:
        """
        Before the start: the folders are there, with each (relative path, stream, size) and the secrets of ``spec``.

        Idempotent. ``InputFileError`` when a stream does not have its size. What reading a stream raises
        comes out as it is.
        """
        raise NotImplementedError(f"{type(self).__name__} has supports_files = False")

    def get_files(self, handle: Handle, paths: Iterable[str]) -> Iterator[tuple[str, BinaryIO, int]]:
        """
        After the end: each (path, stream, size) of ``paths`` that is a regular file in the output folder.

        One at a time: a stream is good until the next. What is not there is left out.
        """
        raise NotImplementedError(f"{type(self).__name__} has supports_files = False")

    def close(self) -> None:
        """Connections are closed; executions go on."""
