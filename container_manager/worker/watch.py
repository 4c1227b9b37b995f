"""One attempt in a worker's hands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from container_manager.ownership import Claim
from container_manager.services.output import OutputWriter
from container_manager.services.reading import OutputReader
from container_manager.specs import Handle, Observation, Usage


class Phase(Enum):
    CREATING = auto()
    CREATED = auto()
    STARTING = auto()
    UNSETTLED = auto()
    """The engine did not answer the start; it is asked again."""
    RUNNING = auto()
    ENDED = auto()
    """Seen to have ended; its last output is read."""


@dataclass(slots=True)
class Watch:
    """What the worker knows of an attempt beyond its row. Times without ``_at`` are of the monotonic clock."""

    claim: Claim
    handle: Handle
    phase: Phase = Phase.CREATING
    output: OutputWriter | None = None
    since: float = 0.0
    seen: Observation | None = None
    missing_since: float | None = None
    killed_by: str = ""
    killed_at: datetime | None = None
    stop_sent: bool = False
    is_reading: bool = False
    is_behind: bool = False
    """The last read was cut short by its limit."""
    next_read: float = 0.0
    read_failures: int = 0
    noted: set[str] = field(default_factory=set)
    """What it was seen to wait for, as its timeline has it."""
    reader: OutputReader | None = None
    rereads: int = 0
    """How often what was read could not be taken, since it ended within a secret."""
    next_progress: float = 0.0
    usage: Usage = field(default_factory=Usage)
    """The most that was measured so far."""
    next_sample: float = 0.0
