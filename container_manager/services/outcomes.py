"""What an attempt's end means: pure, from what the engine saw and what was asked before."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from container_manager.specs import Observation
from container_manager.states import Outcome, StopReason

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
        return "Stopped: it ran longer than timeout_seconds."
    if outcome is Outcome.CANCELLED:
        return "Stopped: it was cancelled."
    return f"Exit code {seen.exit_code}."
