"""What an action returns about its own time. The monotonic clock is the machine's: processes may compare theirs."""

from __future__ import annotations

import time
from collections.abc import Callable
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
