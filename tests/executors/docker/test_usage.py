"""What the statistics of an engine come to, by the version of its cgroups: excerpts of what engines answered."""

from __future__ import annotations

from typing import Any

import pytest

from container_manager.executors.docker.observation import measured
from container_manager.specs import Usage

VERSION_1 = {
    "cpu_stats": {"cpu_usage": {"total_usage": 23_728_047}},
    "memory_stats": {"usage": 335_872, "max_usage": 4_100_096, "stats": {"total_inactive_file": 53_248}},
}
VERSION_2 = {
    "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
    "memory_stats": {"usage": 30_000_000, "stats": {"inactive_file": 10_000_000}, "limit": 64_000_000},
}
PODMAN = {"cpu_stats": {"cpu_usage": {"total_usage": 37_321_215}}, "memory_stats": {"usage": 475_136, "limit": 1 << 25}}
ENDED = {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}


@pytest.mark.parametrize(
    ("stats", "peak", "seconds"),
    [
        (VERSION_1, 4_100_096, 0.023728047),
        (VERSION_2, 20_000_000, 1.5),
        (PODMAN, 475_136, 0.037321215),
        (ENDED, None, None),
        ({"memory_stats": None}, None, None),
    ],
)
def test_memory_is_the_kernels_peak_or_what_is_used_without_the_page_cache(
    stats: dict[str, Any], peak: int | None, seconds: float | None
) -> None:
    assert measured(stats) == Usage(memory_peak_bytes=peak, cpu_seconds=seconds)


def test_a_later_measurement_never_lowers_what_is_known() -> None:
    before = Usage(memory_peak_bytes=10, cpu_seconds=1.0)
    assert before.with_later(Usage(memory_peak_bytes=5, cpu_seconds=2.0)) == Usage(
        memory_peak_bytes=10, cpu_seconds=2.0
    )
    assert before.with_later(Usage()) == before
    assert Usage().with_later(before) == before
