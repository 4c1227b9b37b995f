"""What an attempt's end means: pure, from what the engine saw and what was asked before."""

from __future__ import annotations

import signal
from datetime import datetime
from typing import Final

from container_manager.specs import Observation
from container_manager.states import Outcome, StopReason

SIGNAL_BASE: Final = 128
"""A process that a signal ended has this and the signal's number as exit code, by the shells' convention."""
_SIGNALS: Final = {number.value: number.name for number in signal.Signals}
_KILLED: Final = {StopReason.CANCEL: Outcome.CANCELLED, StopReason.TIMEOUT: Outcome.TIMEOUT}


def outcome_of(seen: Observation, *, killed_by: str, killed_at: datetime | None) -> Outcome:
    """
    The category of an ended execution.

    A stop that was asked for counts only when the end came after it; otherwise the natural
    outcome stands. ``oom`` only by the engine's word, never from 137.
    """
    came_too_late = killed_at is not None and seen.finished_at is not None and seen.finished_at < killed_at
    if killed_by and not came_too_late:
        return _KILLED[StopReason(killed_by)]
    if seen.reason is not None:
        return seen.reason
    return Outcome.OK if seen.exit_code == 0 else Outcome.APP_ERROR


def explain(outcome: Outcome, seen: Observation) -> str:
    """The error text of an ending; empty for a good one."""
    if outcome is Outcome.OK:
        return ""
    if seen.error:
        return seen.error
    if outcome is Outcome.OOM:
        return "Killed by the kernel: it needed more memory than its limit."
    if outcome is Outcome.TIMEOUT:
        return "Stopped: it ran longer than its time limit."
    if outcome is Outcome.CANCELLED:
        return "Stopped: it was cancelled."
    return _exit_text(seen.exit_code)


def _exit_text(code: int | None) -> str:
    name = _SIGNALS.get((code or 0) - SIGNAL_BASE)
    if name is None:
        return f"Exit code {code}."
    if name == signal.SIGKILL.name:
        return f"Exit code {code} ({name}): it was killed, and the engine did not say that memory ran out."
    return f"Exit code {code} ({name})."
