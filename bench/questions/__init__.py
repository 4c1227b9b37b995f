"""The questions: each file has a title, its metrics, how long it takes at most, and its cells."""

from __future__ import annotations

from typing import Final

ORDER: Final = (
    "enqueue", "drain", "backlog", "claim", "pick_up", "idle", "watch", "writes", "stats", "pages", "docker",
)  # fmt: skip
"""The order in which they are asked."""
