"""When a worker looks for work again: soon after it found some, ever later while there is none."""

from __future__ import annotations

import random
import time
from typing import Final

QUICKEST: Final = 0.05
GROWTH: Final = 1.5
JITTER: Final = 0.2
"""By so much of it a pause may be shorter, so that workers do not look in step."""
TOLD_GAP: Final = 0.02
"""Seconds between two looks, at least, that each notification, or each end of a job, asks for: thousands a second."""


class Pace:
    """
    The moment of the next look, by the monotonic clock. A new one is due at once.

    A pause is never longer than what ``looked`` was last told.
    """

    def __init__(self) -> None:
        self.next_look = self._last_look = 0.0
        self._pause = QUICKEST

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self.next_look

    def hurry(self) -> None:
        """Something moved: the next look is due."""
        self.next_look = 0.0

    def told(self, *, gap: float = TOLD_GAP) -> None:
        """There may be work: the next look is due, or ``gap`` seconds after the last one."""
        self.next_look = min(self.next_look, self._last_look + gap)

    def looked(self, *, found: bool, longest: float, next_due: float | None) -> None:
        """
        A look has just begun, and ``found`` something or not.

        ``longest``: seconds until the next one at most; ``next_due``: until something known is due.
        """
        self._last_look = time.monotonic()
        self._pause = min(longest, QUICKEST if found else self._pause * GROWTH)
        pause = self._pause * random.uniform(1 - JITTER, 1.0)  # noqa: S311 - no secret
        self.next_look = self._last_look + (pause if next_due is None else min(pause, next_due))
