"""What engines that speak Docker's interface say in a way of their own: one table, keyed by what ``/version`` says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from container_manager.exceptions import (
    ExecutionNotFoundError,
    ExecutionRunningError,
    ExecutorError,
    NameConflictError,
)
from container_manager.specs import ExecutionState

Answer = tuple[str, str, type[ExecutorError]]
"""The status of a refusal, words of its message (both regular expressions), and what that is."""

STATES: Final = {
    "created": ExecutionState.CREATED,
    "running": ExecutionState.RUNNING,
    "paused": ExecutionState.RUNNING,
    "restarting": ExecutionState.RUNNING,
    "exited": ExecutionState.EXITED,
    "removing": ExecutionState.EXITED,
    "dead": ExecutionState.EXITED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """
    How one engine speaks. The defaults are Docker's own.

    ``answers`` come before those common to all. ``settling_states``: it has ended, and its output may not be whole
    for a moment. ``init_failure``: what the init process writes when it cannot run
    the program, and ``init_exit_codes`` what it exits with then. ``has_ordered_output``: the stamps of output never
    go back over both streams. ``keeps_log_files``: a log that reaches its size goes on in another file; else it
    starts afresh. ``has_identity``: ``/info`` has the same ``ID`` each time. ``end_events``: what the filter of events
    calls the end of a container, by one version or another.
    """

    name: str = "Docker"
    answers: tuple[Answer, ...] = ()
    states: Mapping[str, ExecutionState] = field(default_factory=lambda: STATES)
    settling_states: frozenset[str] = frozenset()
    init_failure: re.Pattern[bytes] = re.compile(rb"\[FATAL tini \(\d+\)\] (exec .+ failed: .+)")
    init_exit_codes: frozenset[int] = frozenset({126, 127})
    has_ordered_output: bool = False
    keeps_log_files: bool = True
    has_identity: bool = True
    end_events: tuple[str, ...] = ("die",)

    def engine_id(self, info: Mapping[str, Any]) -> str:
        """What stays the same as long as the same engine keeps the same containers."""
        if self.has_identity:
            return str(info["ID"])
        return f"{info['Name']}:{info['DockerRootDir']}"


DOCKER: Final = Dialect()
PODMAN: Final = Dialect(
    name="Podman",
    answers=(
        (r"404|500", r"no such container|no container with name or ID", ExecutionNotFoundError),
        (r"500", r"name .* is already in use", NameConflictError),
        (r"409|500", r"container state improper", ExecutionRunningError),
    ),
    states={
        **STATES,
        "configured": ExecutionState.CREATED,
        "initialized": ExecutionState.CREATED,
        "stopping": ExecutionState.RUNNING,
        "stopped": ExecutionState.EXITED,
    },
    settling_states=frozenset({"stopped"}),
    init_failure=re.compile(rb"ERROR \(catatonit:\d+\): failed to exec pid1: (.+)"),
    init_exit_codes=frozenset({1}),
    has_ordered_output=True,
    keeps_log_files=False,
    has_identity=False,
    end_events=("die", "died"),
)


def dialect_of(version: Mapping[str, Any]) -> Dialect:
    """The dialect of the engine whose ``/version`` is ``version``."""
    components = {str(component.get("Name")) for component in version.get("Components") or ()}
    return PODMAN if "Podman Engine" in components else DOCKER
