"""What an action returns about its own time. The monotonic clock is the machine's: processes may compare theirs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any


def timed(start_line: Callable[[], None], count: int, work: Callable[[], object]) -> dict[str, Any]:
    """``work`` was done from the start line on; when it began and ended."""
    start_line()
    began = time.monotonic()
    work()
    return {"began": began, "ended": time.monotonic(), "count": count}


def wait_while(condition: Callable[[], object], pause: float = 0.05) -> None:
    """Returns as soon as ``condition()`` is false."""
    while condition():
        time.sleep(pause)


def each_timed(start_line: Callable[[], None], count: int, work: Callable[[], object]) -> dict[str, float]:
    """``work`` was done ``count`` times from the start line on; percentiles of its milliseconds."""
    start_line()
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1_000)
    return percentiles(taken)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The nearest ranks ``p50`` and ``p99``."""
    ranked = sorted(values)
    return {f"p{percent}": ranked[math.ceil(percent / 100 * len(ranked)) - 1] for percent in (50, 99)}
