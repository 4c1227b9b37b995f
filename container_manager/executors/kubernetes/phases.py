"""
Where an execution is in its life, written on its Job: one annotation, moved by compare-and-set.

The API server applies a JSON patch atomically, and refuses it when one of its tests fails. So of a start and a
removal, or a start and a stop, one wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

from container_manager.specs import LABEL_PREFIX
from container_manager.states import Outcome

PHASE: Final = LABEL_PREFIX + "phase"
STOPPED_AT: Final = LABEL_PREFIX + "stopped-at"
OUTCOME: Final = LABEL_PREFIX + "outcome"
ERROR: Final = LABEL_PREFIX + "error"
PERMANENT: Final = LABEL_PREFIX + "permanent"
LONGEST_ERROR: Final = 2000

Patch = list[dict[str, Any]]


class Phase(StrEnum):
    CREATED = "created"
    """No pod may be made for it yet."""
    STARTED = "started"
    STOPPED = "stopped"
    """No pod may be made for it any more, and the one there is ends."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why an execution was given up before its program began, as its Job's annotations keep it."""

    outcome: Outcome
    error: str
    is_transient: bool = True

    @classmethod
    def from_notes(cls, notes: Mapping[str, str]) -> Self | None:
        """``None`` = it was not given up."""
        if notes.get(OUTCOME) not in list(Outcome):
            return None
        return cls(Outcome(notes[OUTCOME]), notes.get(ERROR, ""), is_transient=PERMANENT not in notes)

    def notes(self) -> dict[str, str]:
        kept = {OUTCOME: self.outcome.value, ERROR: self.error[:LONGEST_ERROR]}
        return kept if self.is_transient else {**kept, PERMANENT: "true"}


def start_patch(*, is_suspended: bool) -> Patch:
    """From created to started: the cluster makes the pod."""
    release = ("/spec/suspend", False) if is_suspended else ("/spec/parallelism", 1)
    return [*_move(Phase.CREATED, Phase.STARTED), _set(*release)]


def stop_patch(verdict: Verdict | None = None) -> Patch:
    """From started to stopped: the cluster ends the pod and makes no other. ``verdict``: why, if not asked for."""
    notes = {STOPPED_AT: datetime.now(UTC).isoformat(), **(verdict.notes() if verdict else {})}
    patch = [*_move(Phase.STARTED, Phase.STOPPED), _set("/spec/parallelism", 0)]
    return [*patch, *(_set(_path(name), value) for name, value in notes.items())]


def _move(source: Phase, target: Phase) -> Patch:
    return [{"op": "test", "path": _path(PHASE), "value": source.value}, _set(_path(PHASE), target.value)]


def _set(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _path(annotation: str) -> str:
    return f"/metadata/annotations/{annotation}"
