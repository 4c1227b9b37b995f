"""What happened in a minute: counts and two histograms, so that nobody ever counts the history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.db import models

from container_manager.states import Outcome

TOTAL: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The ``minute`` of a queue's sums since the beginning; they only grow."""
BUCKET_BOUNDS: Final = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 30_000.0)
"""Upper ends of the buckets in seconds, inclusive, equal steps of a logarithm; one more bucket takes what is longer."""
WAIT_BUCKETS: Final = tuple(f"wait_bucket_{number}" for number in range(len(BUCKET_BOUNDS) + 1))
RUN_BUCKETS: Final = tuple(f"run_bucket_{number}" for number in range(len(BUCKET_BOUNDS) + 1))
OUTCOMES: Final = {outcome: f"outcome_{outcome.value}" for outcome in Outcome}
"""The column of each outcome."""


class MinuteRollup(models.Model):
    """
    What workers saw happen to the jobs of a queue in one minute, by the database's clock, and in all (``TOTAL``).

    Added to by every worker, never set. ``completed``, ``failed`` and ``cancelled`` are jobs that
    ended, ``retried`` attempts that ended and are followed by another, ``released`` claims given back
    before anything started, ``rescued`` attempts taken over from a dead worker.
    Buckets are not cumulative: each counts its own range.
    ``wait_...``: from when a job could first run to its launch, of jobs that needed one launch;
    ``run_...``: from the start of the last attempt to its end.
    """

    minute = models.DateTimeField()
    queue = models.CharField(max_length=64)
    completed = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    cancelled = models.PositiveBigIntegerField(default=0)
    retried = models.PositiveBigIntegerField(default=0)
    released = models.PositiveBigIntegerField(default=0)
    rescued = models.PositiveBigIntegerField(default=0)
    wait_seconds = models.FloatField(default=0.0)
    run_seconds = models.FloatField(default=0.0)

    class Meta:
        ordering = ("minute", "queue")
        constraints = (models.UniqueConstraint(fields=["minute", "queue"], name="cm_rollup_minute"),)

    def __str__(self) -> str:
        when = "in all" if self.minute == TOTAL else f"{self.minute:%Y-%m-%d %H:%M}"
        return f"queue {self.queue}, {when}"


for _name in (*OUTCOMES.values(), *WAIT_BUCKETS, *RUN_BUCKETS):
    MinuteRollup.add_to_class(_name, models.PositiveBigIntegerField(default=0))

COUNTED: Final = tuple(
    field.name for field in MinuteRollup._meta.concrete_fields if field.name not in ("id", "minute", "queue")
)
"""The columns that are added to."""
