"""What ended in the last hour, day or week, from the minutes that workers wrote down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import F, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone

from container_manager.admin.dashboard.quantiles import quantile
from container_manager.models import MinuteRollup
from container_manager.models.rollup import RUN_BUCKETS, TOTAL, WAIT_BUCKETS

ENDS: Final = ("completed", "failed", "cancelled")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """How far back, in buckets of what length."""

    name: str
    length: timedelta
    bucket: timedelta

    def start(self, now: datetime) -> datetime:
        """The beginning of the first bucket; the last one is the one that ``now`` is in."""
        last = now - (now - EPOCH) % self.bucket
        return last + self.bucket - self.length


WINDOWS: Final = {
    window.name: window
    for window in (
        Window("1h", timedelta(hours=1), timedelta(minutes=1)),
        Window("24h", timedelta(hours=24), timedelta(minutes=15)),
        Window("7d", timedelta(days=7), timedelta(hours=2)),
    )
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """What happened from ``start`` on; the four quantiles in seconds, ``None`` where nothing was counted."""

    start: datetime
    completed: int
    failed: int
    cancelled: int
    wait_p50: float | None
    wait_p95: float | None
    run_p50: float | None
    run_p95: float | None

    @classmethod
    def of(cls, start: datetime, counts: Mapping[str, int]) -> Bucket:
        waits, runs = ([counts.get(name, 0) for name in names] for names in (WAIT_BUCKETS, RUN_BUCKETS))
        completed, failed, cancelled = (counts.get(name, 0) for name in ENDS)
        return cls(
            start, completed, failed, cancelled,
            quantile(waits, 0.5), quantile(waits, 0.95), quantile(runs, 0.5), quantile(runs, 0.95),
        )  # fmt: skip

    @property
    def is_empty(self) -> bool:
        return not (self.completed or self.failed or self.cancelled)


def buckets(window: Window, using: str, now: datetime | None = None) -> list[Bucket]:
    """All buckets of ``window``, the oldest first, of all queues together: one query."""
    now = now or timezone.now()
    start = window.start(now)
    found: dict[int, dict[str, int]] = {}
    for row in _summed(window, start, using):
        counts = found.setdefault((row.pop("at") - start) // window.bucket, {})
        for name, value in row.items():
            counts[name] = counts.get(name, 0) + value
    number = window.length // window.bucket
    return [Bucket.of(start + index * window.bucket, found.get(index, {})) for index in range(number)]


def _summed(window: Window, start: datetime, using: str) -> Iterator[dict[str, Any]]:
    rows: QuerySet[Any] = _since(start, using)
    is_coarse = window.bucket >= timedelta(hours=1)
    rows = rows.values(at=TruncHour("minute", tzinfo=UTC) if is_coarse else F("minute"))
    sums = rows.annotate(**{f"sum_{name}": Sum(name) for name in (*ENDS, *WAIT_BUCKETS, *RUN_BUCKETS)})
    for row in sums.order_by():
        yield {name.removeprefix("sum_"): value for name, value in row.items()}


def hourly(using: str, now: datetime) -> dict[str, list[int]]:
    """For each way to end, how many did in each of the last 24 hours, the oldest first."""
    start = now - (now - EPOCH) % timedelta(hours=1) - timedelta(hours=23)
    counts = {name: [0] * 24 for name in ENDS}
    rows: QuerySet[Any] = _since(start, using).values(at=TruncHour("minute", tzinfo=UTC))
    for row in rows.annotate(**{f"sum_{name}": Sum(name) for name in ENDS}).order_by():
        for name in ENDS:
            counts[name][(row["at"] - start) // timedelta(hours=1)] += row[f"sum_{name}"]
    return counts


def by_queue(using: str, now: datetime) -> dict[str, list[int]]:
    """For each queue, how many jobs ended in each five minutes of the last hour, the oldest first."""
    step = timedelta(minutes=5)
    start = now - (now - EPOCH) % step - 11 * step
    counts: dict[str, list[int]] = {}
    for queue, minute, *ended in _since(start, using).values_list("queue", "minute", *ENDS):
        counts.setdefault(queue, [0] * 12)[(minute - start) // step] += sum(ended)
    return counts


def _since(start: datetime, using: str) -> QuerySet[MinuteRollup]:
    return MinuteRollup.objects.using(using).filter(minute__gte=start, minute__gt=TOTAL)
