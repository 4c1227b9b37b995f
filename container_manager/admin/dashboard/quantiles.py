"""Estimates of quantiles from the rollups' buckets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from container_manager.models.rollup import BUCKET_BOUNDS

LOWEST: Final = 0.03
"""Where the first bucket is taken to begin: one step of the logarithm below its end."""


def quantile(counts: Sequence[int], share: float) -> float | None:
    """
    Seconds that ``share`` of what is counted stayed below; ``None`` when nothing is counted.

    Interpolated on the logarithm within its bucket, so at most one step of it off. Beyond
    the last bound it is that bound: at least so long.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, below = share * total, 0
    for number, count in enumerate(counts):
        if count and below + count >= wanted:
            if number == len(BUCKET_BOUNDS):
                return BUCKET_BOUNDS[-1]
            start = BUCKET_BOUNDS[number - 1] if number else LOWEST
            step = math.log(BUCKET_BOUNDS[number] / start)
            return round(start * math.exp(step * (wanted - below) / count), 3)
        below += count
    return BUCKET_BOUNDS[-1]
