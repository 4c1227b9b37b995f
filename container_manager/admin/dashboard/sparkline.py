"""Small charts, drawn on the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 96.0
HEIGHT: Final = 24.0
MARGIN: Final = 2.0


@dataclass(frozen=True, slots=True)
class Sparkline:
    """``points`` of a polyline from 0 up, and the last one, which is drawn as a dot; ``text`` says it in words."""

    points: str
    last: tuple[float, float]
    text: str
    is_empty: bool
    size: tuple[float, float] = (WIDTH, HEIGHT)

    @classmethod
    def of(cls, values: Sequence[int], text: str) -> Sparkline:
        top = max(max(values, default=0), 1)
        step = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
        drawn = [
            (round(MARGIN + index * step, 1), round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * value / top, 1))
            for index, value in enumerate(values)
        ]
        points = " ".join(f"{x:g},{y:g}" for x, y in drawn)
        return cls(points, drawn[-1] if drawn else (0.0, 0.0), text, not any(values))
