"""
Where an execution is in its life, written on its Job: one annotation, moved by compare-and-set.

The API server applies a JSON patch atomically, and refuses it when one of its tests fails. So of a start and a
removal, or a start and a stop, one wins.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from container_manager.specs import LABEL_PREFIX
from container_manager.states import Outcome

PHASE: Final = LABEL_PREFIX + "phase"
STOPPED_AT: Final = LABEL_PREFIX + "stopped-at"
OUTCOME: Final = LABEL_PREFIX + "outcome"
ERROR: Final = LABEL_PREFIX + "error"
LONGEST_ERROR: Final = 2000

Patch = list[dict[str, Any]]


class Phase(StrEnum):
    CREATED = "created"
    """No pod may be made for it yet."""
    STARTED = "started"
    STOPPED = "stopped"
    """No pod may be made for it any more, and the one there is ends."""


def start_patch(*, is_suspended: bool) -> Patch:
    """From created to started: the cluster makes the pod."""
    release = ("/spec/suspend", False) if is_suspended else ("/spec/parallelism", 1)
    return [*_move(Phase.CREATED, Phase.STARTED), _set(*release)]


def stop_patch(outcome: Outcome | None = None, error: str = "") -> Patch:
    """From started to stopped: the cluster ends the pod and makes no other. ``outcome``: why, if not asked for."""
    notes = {STOPPED_AT: datetime.now(UTC).isoformat()}
    if outcome is not None:
        notes |= {OUTCOME: outcome.value, ERROR: error[:LONGEST_ERROR]}
    patch = [*_move(Phase.STARTED, Phase.STOPPED), _set("/spec/parallelism", 0)]
    return [*patch, *(_set(_path(name), value) for name, value in notes.items())]


def _move(source: Phase, target: Phase) -> Patch:
    return [{"op": "test", "path": _path(PHASE), "value": source.value}, _set(_path(PHASE), target.value)]


def _set(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _path(annotation: str) -> str:
    return f"/metadata/annotations/{annotation}"
