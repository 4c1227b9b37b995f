"""How property tests run here: the same examples every time, and however slow the machine is."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, settings

STEADY: Final = settings(
    derandomize=True, database=None, deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow]
)
