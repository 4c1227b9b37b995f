"""What this worker's process saw happen, added to the minutes it happened in: one statement for all of it."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from container_manager import signals
from container_manager.lifecycle import Subject
from container_manager.models import ContainerJob, JobAttempt
from container_manager.models.rollup import COUNTED, OUTCOMES, RUN_BUCKETS, TOTAL, WAIT_BUCKETS, MinuteRollup, bucket
from container_manager.sql.anyof import AnyOf
from container_manager.sql.clock import DatabaseNow
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.states import Outcome, Verb
from container_manager.worker.connections import OUTAGES

logger = logging.getLogger(__name__)

KEEP: Final = timedelta(days=31)
BATCH: Final = 1_000
_ENDS: Final = {Verb.COMPLETE: "completed", Verb.FAIL: "failed", Verb.CANCEL: "cancelled"}
_GOES_ON: Final = {Verb.RETRY: "retried", Verb.RELEASE: "released", Verb.RESCUE: "rescued"}
_COULD_RUN: Final = Greatest("queued_at", Coalesce("scheduled_for", "queued_at"))
_WAITED: Final = ExpressionWrapper(F("launched_at") - _COULD_RUN, DurationField())
_RAN: Final = ExpressionWrapper(F("finished_at") - F("started_at"), DurationField())
_TRIES_BEFORE: Final = F("retry_count") + F("rerun_count") + F("infra_rerun_count") + F("rescue_count")

Key = tuple[datetime, str]
"""A minute and a queue."""


class _Ended(NamedTuple):
    """
    What is counted of a job that has ended, or of an attempt; ``tries_before`` were not its last.

    Durations rather than moments: a driver reads them in a fraction of the time.
    """

    queue: str
    outcome: str
    finished_at: datetime | None
    waited: timedelta | None = None
    ran: timedelta | None = None
    tries_before: int = 0


class Rollup:
    """
    Listens to the moves of this process's jobs while open; ``flush`` adds them to ``MinuteRollup``.

    Statistics, not accounts: what a process that is killed had not flushed is not counted, and
    what was written just as the connection broke may be counted twice. Nothing waits for it.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._moves: deque[tuple[Verb, Subject]] = deque()
        self._counts: defaultdict[Key, Counter[str]] = defaultdict(Counter)

    def open(self) -> None:
        signals.jobs_moved.connect(self._note, sender=ContainerJob)

    def close(self) -> None:
        """What is left is written if the database answers; nothing more is listened to."""
        signals.jobs_moved.disconnect(self._note, sender=ContainerJob)
        try:
            self.flush()
        except OUTAGES as error:
            logger.warning("the last minute's statistics are not written: %s", error)

    def flush(self) -> None:
        """All that was noted is in the table. After an error nothing of it is forgotten."""
        while self._moves:
            moves = [self._moves.popleft() for _ in range(min(BATCH, len(self._moves)))]
            try:
                self._count(moves)
            except BaseException:
                self._moves.extendleft(reversed(moves))
                raise
        if self._counts:
            add_counts(self._counts | _totals(self._counts), self._using)
            self._counts.clear()

    def prune(self) -> int:
        """At most one batch of minutes older than ``KEEP`` is gone; returns how many. The totals stay."""
        old = MinuteRollup.objects.using(self._using).filter(minute__gt=TOTAL, minute__lt=DatabaseNow() - KEEP)
        ids = list(old.order_by("minute").values_list("pk", flat=True)[:BATCH])
        return MinuteRollup.objects.using(self._using).filter(pk__in=ids).delete()[0] if ids else 0

    def _note(self, *, verb: Verb, subjects: Iterable[Subject], **_: Any) -> None:
        if verb in _ENDS or verb in _GOES_ON:
            self._moves.extend((verb, subject) for subject in subjects)

    def _count(self, moves: Collection[tuple[Verb, Subject]]) -> None:
        jobs = self._ended_jobs({subject.job_id for verb, subject in moves if verb in _ENDS})
        attempts = self._attempts({subject.job_id for verb, subject in moves if verb in _GOES_ON})
        for verb, subject in moves:
            if verb in _ENDS:
                row = jobs.get(subject.job_id)
                found = {_ENDS[verb]: 1, **_durations(row)} if row else {}
            else:
                row = attempts.get(subject)
                found = {_GOES_ON[verb]: 1}
            if row is None:  # deleted meanwhile
                continue
            if row.outcome and verb is not Verb.RESCUE:  # its end comes by itself
                found[OUTCOMES[Outcome(row.outcome)]] = 1
            moment = row.finished_at or timezone.now()
            counts: dict[str, Any] = self._counts[moment.replace(second=0, microsecond=0), row.queue]
            for name, value in found.items():
                counts[name] += value

    def _ended_jobs(self, ids: Collection[UUID]) -> dict[UUID, _Ended]:
        if not ids:
            return {}
        rows = ContainerJob.objects.using(self._using).filter(AnyOf("pk", ids)).order_by()
        values = rows.values_list("pk", "queue", "outcome", "finished_at", _WAITED, _RAN, _TRIES_BEFORE)
        return {job_id: _Ended._make(row) for job_id, *row in values}

    def _attempts(self, ids: Collection[UUID]) -> dict[Subject, _Ended]:
        if not ids:
            return {}
        rows = JobAttempt.objects.using(self._using).filter(AnyOf("job", ids)).order_by()
        values = rows.values_list("job_id", "number", "job__queue", "outcome", "finished_at")
        return {
            Subject(job_id, number): _Ended(queue, outcome, finished_at)
            for job_id, number, queue, outcome, finished_at in values
        }


def _totals(counts: Mapping[Key, Counter[str]]) -> dict[Key, Counter[str]]:
    totals: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    for (_, queue), found in counts.items():
        totals[TOTAL, queue].update(found)
    return totals


def _durations(job: _Ended) -> dict[str, float]:
    found: dict[str, float] = {}
    if job.waited is not None and not job.tries_before:
        wait = _seconds(job.waited)
        found |= {WAIT_BUCKETS[bucket(wait)]: 1, "wait_seconds": wait}
    if job.ran is not None:
        run = _seconds(job.ran)
        found |= {RUN_BUCKETS[bucket(run)]: 1, "run_seconds": run}
    return found


def _seconds(duration: timedelta) -> float:
    return max(0.0, duration.total_seconds())  # two clocks may disagree


def add_counts(counts: Mapping[Key, Mapping[str, float]], using: str) -> None:
    """
    Each minute and queue of ``counts`` has that much more, in one statement, whoever else adds to it.

    Written as SQL: the ORM's own upsert sets columns and cannot add to them.
    """
    connection = connections[using]
    quote = connection.ops.quote_name
    table = quote(MinuteRollup._meta.db_table)
    columns = ", ".join(map(quote, ("minute", "queue", *COUNTED)))
    slots = f"({', '.join(['%s'] * (2 + len(COUNTED)))})"
    touched = [name for name in COUNTED if any(values.get(name) for values in counts.values())]
    keys = sorted(counts)  # one order for all workers, so that they do not lock crosswise
    statement = (
        f"INSERT INTO {table} ({columns}) VALUES {', '.join([slots] * len(keys))} "  # noqa: S608 - our own names
        f"{_on_conflict(connection, table, touched)}"
    )
    bound: list[Any] = []
    for minute, queue in keys:
        values = counts[minute, queue]
        bound += [connection.ops.adapt_datetimefield_value(minute), queue, *(values.get(name, 0) for name in COUNTED)]

    def write() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, bound)

    retry_on_conflict(write)


def _on_conflict(connection: BaseDatabaseWrapper, table: str, columns: Iterable[str]) -> str:
    names = [connection.ops.quote_name(name) for name in columns]
    if connection.vendor == "mysql":
        return "ON DUPLICATE KEY UPDATE " + ", ".join(f"{name} = {name} + VALUES({name})" for name in names)
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)
    return f"ON CONFLICT (minute, queue) DO UPDATE SET {added}"
