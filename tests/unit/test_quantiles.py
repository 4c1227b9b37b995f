"""Quantiles from the rollups' buckets."""

from __future__ import annotations

from bisect import bisect_left

import pytest

from container_manager.admin.dashboard.quantiles import quantile
from container_manager.models.rollup import BUCKET_BOUNDS


def bucket(seconds: float) -> int:
    """The number of the bucket that ``seconds`` belongs to."""
    return bisect_left(BUCKET_BOUNDS, seconds)


def counted(*seconds: float) -> list[int]:
    counts = [0] * (len(BUCKET_BOUNDS) + 1)
    for value in seconds:
        counts[bucket(value)] += 1
    return counts


def test_nothing_counted_has_no_quantile() -> None:
    assert quantile(counted(), 0.5) is None


@pytest.mark.parametrize("seconds", [0.05, 0.2, 2.0, 20.0, 2_000.0, 25_000.0])
def test_a_lone_value_is_met_within_its_bucket(seconds: float) -> None:
    found = quantile(counted(seconds), 0.5)
    assert found is not None
    assert bucket(found) == bucket(seconds)


def test_the_median_of_many_is_not_moved_by_a_few_long_ones() -> None:
    counts = counted(*[0.2] * 95, *[500.0] * 5)
    assert bucket(quantile(counts, 0.5) or 0) == bucket(0.2)
    assert bucket(quantile(counts, 0.97) or 0) == bucket(500.0)


def test_beyond_the_last_bound_it_is_at_least_that() -> None:
    assert quantile(counted(90_000.0), 0.5) == BUCKET_BOUNDS[-1]
