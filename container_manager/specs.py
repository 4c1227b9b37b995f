"""
What passes between the queue and an executor: plain values, no database.

A service builds a ``JobSpec`` from a job; an executor answers with ``Handle``,
``Observation`` and ``LogBatch``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar
from uuid import UUID

from container_manager.states import Outcome

LABEL_PREFIX: Final = "container-manager."
LABEL_INSTALLATION: Final = LABEL_PREFIX + "installation"
LABEL_JOB: Final = LABEL_PREFIX + "job"
LABEL_ATTEMPT: Final = LABEL_PREFIX + "attempt"
LABEL_SPEC: Final = LABEL_PREFIX + "spec"


_FOLDER: Final = re.compile(r"\$(?P<escaped>\$)?\((?P<name>CM_(?:INPUT|OUTPUT|SECRETS)_DIR)\)")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a program finds its files, as it sees them."""

    input: str
    output: str
    secrets: str

    def variables(self) -> dict[str, str]:
        return {"CM_INPUT_DIR": self.input, "CM_OUTPUT_DIR": self.output, "CM_SECRETS_DIR": self.secrets}


def escape_folders(text: str) -> str:
    """``text`` such that ``place`` gives it back."""
    return _FOLDER.sub(lambda match: f"${match[0]}", text)


def place(text: str, folders: Folders | None) -> str:
    """``text`` with ``$(CM_INPUT_DIR)`` and the like replaced, where there are folders; ``$$(...)`` is the text."""
    known = folders.variables() if folders else {}
    return _FOLDER.sub(lambda match: match[0][1:] if match["escaped"] else known.get(match["name"], match[0]), text)


def execution_name(installation: str, job_id: UUID, attempt: int) -> str:
    """The one name of an attempt's execution on any engine: at most 50 characters, a DNS label."""
    return f"cm-{installation}-{job_id.hex}-{attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """
    One attempt of a job, as an executor needs it: everything resolved, nothing to look up.

    ``entrypoint`` empty means the image's own. ``memory_limit`` is in MiB, ``cpu_limit`` in
    cores, ``None`` = the host's default. ``timeout_seconds``: after which the worker stops it; an engine
    may take it for a backstop. ``user_labels`` never override ours. With ``has_files`` it has an input
    and an output folder; ``secret_files`` are names and contents, never shown.
    """

    installation: str
    job_id: UUID
    attempt: int
    image: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str = ""
    memory_limit: int | None = None
    cpu_limit: float | None = None
    user: str = ""
    network: str = ""
    gpus: str = ""
    timeout_seconds: int | None = None
    user_labels: Mapping[str, str] = field(default_factory=dict)
    has_files: bool = False
    secret_files: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return execution_name(self.installation, self.job_id, self.attempt)

    @property
    def labels(self) -> dict[str, str]:
        """The user's labels and, over them, ours: what an engine is told and later asked by."""
        return {
            **self.user_labels,
            LABEL_INSTALLATION: self.installation,
            LABEL_JOB: str(self.job_id),
            LABEL_ATTEMPT: str(self.attempt),
            LABEL_SPEC: self.digest,
        }

    @property
    def digest(self) -> str:
        """A short hash of what would run; two specifications of one name that differ are a conflict."""
        values = [self.image, self.command, self.entrypoint, sorted(self.environment.items()), self.working_directory]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]

    def container_environment(self) -> dict[str, str]:
        """The user's environment, the secrets that go with it, and ``CM_JOB_ID``, ``CM_ATTEMPT``."""
        ours = {"CM_JOB_ID": str(self.job_id), "CM_ATTEMPT": str(self.attempt)}
        return {**self.environment, **self.secret_environment, **ours}


@dataclass(frozen=True, slots=True)
class Handle:
    """How to find an execution again: always by ``name``; ``execution_id`` is the engine's own, if known."""

    name: str
    execution_id: str = ""


class ExecutionState(StrEnum):
    CREATED = "created"
    """Prepared; the user's work has not begun."""
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """
    One execution as its engine sees it.

    ``reason`` is what the engine knows beyond the exit code (``oom``, ``config_error`` when
    the program could not be started, ``lost`` when its end was not seen); ``None`` leaves it
    to the exit code. ``error`` of a running one says what it still waits for, if it does.
    ``finished_at`` is the engine's own clock. ``is_transient`` is false where another try would end the same way.
    """

    handle: Handle
    installation: str
    job_id: UUID
    attempt: int
    state: ExecutionState
    exit_code: int | None = None
    reason: Outcome | None = None
    error: str = ""
    is_transient: bool = True
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A piece of output, in the order in which the engine saw it: raw bytes, not necessarily a line."""

    stream: Stream
    data: bytes
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Output since a cursor. ``cursor`` continues after it; ``has_more`` says that a limit cut it short."""

    entries: tuple[LogEntry, ...]
    cursor: str
    has_more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an execution used, as far as the engine can tell."""

    memory_peak_bytes: int | None = None
    cpu_seconds: float | None = None

    def with_later(self, later: Usage) -> Usage:
        """The most that either tells: both only ever grow, and a later question may come after the end."""
        return Usage(
            memory_peak_bytes=_most(self.memory_peak_bytes, later.memory_peak_bytes),
            cpu_seconds=_most(self.cpu_seconds, later.cpu_seconds),
        )


Number = TypeVar("Number", int, float)


def _most(*known: Number | None) -> Number | None:
    return max((number for number in known if number is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostHealth:
    """A healthy engine's identity: ``engine_id`` changes when another engine answers at the same address."""

    engine_id: str
    version: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """How far the pull of an image is. The totals grow while the engine learns of layers."""

    image: str
    layers_done: int
    layers: int
    bytes_done: int
    bytes_total: int

    def __str__(self) -> str:
        if not self.layers:
            return f"Pulling the image {self.image}."
        megabytes = f"{self.bytes_done / 1_000_000:.1f} of {self.bytes_total / 1_000_000:.1f} MB"
        return f"Pulling the image {self.image}: {self.layers_done} of {self.layers} layers, {megabytes}."
