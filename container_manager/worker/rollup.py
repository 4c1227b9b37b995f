"""What this worker's process saw happen, added to the minutes it happened in: one statement for all of it."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from container_manager import signals
from container_manager.lifecycle import Subject
from container_manager.models import ContainerJob
from container_manager.models.rollup import COUNTED, OUTCOMES, RUN_BUCKETS, TOTAL, WAIT_BUCKETS, MinuteRollup
from container_manager.sql.clock import DatabaseNow
from container_manager.sql.conflicts import retry_on_conflict
from container_manager.states import Outcome, Verb
from container_manager.worker import tallies
from container_manager.worker.connections import OUTAGES

logger = logging.getLogger(__name__)

KEEP: Final = timedelta(days=31)
BATCH: Final = 1_000
_ENDS: Final = {Verb.COMPLETE: "completed", Verb.FAIL: "failed", Verb.CANCEL: "cancelled"}
_GOES_ON: Final = {Verb.RETRY: "retried", Verb.RELEASE: "released", Verb.RESCUE: "rescued"}

Key = tuple[datetime, str]
"""A minute and a queue."""


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
        ids: defaultdict[Verb, list[UUID]] = defaultdict(list)
        for verb, subject in moves:
            ids[verb].append(subject.job_id)
        # All is read before anything is counted: what fails is tried again as a whole.
        ended = [
            (name, ends)
            for verb, name in _ENDS.items()
            for once in _each_once(ids[verb])
            for ends in tallies.ends_of(once, self._using)
        ]
        attempts = tallies.attempts_of({job_id for verb in _GOES_ON for job_id in ids[verb]}, self._using)
        for name, ends in ended:
            self._add(ends.minute, ends.queue, {name: ends.jobs, **_outcome(ends.outcome, ends.jobs), **_spent(ends)})
        for verb, subject in moves:
            went = attempts.get(subject) if verb in _GOES_ON else None
            if went is not None:
                # What a rescued one comes to follows by itself.
                outcome = {} if verb is Verb.RESCUE else _outcome(went.outcome, 1)
                self._add(went.finished_at, went.queue, {_GOES_ON[verb]: 1, **outcome})

    def _add(self, moment: datetime | None, queue: str, found: Mapping[str, float]) -> None:
        minute = (moment or timezone.now()).replace(second=0, microsecond=0)
        counts: dict[str, Any] = self._counts[minute, queue]
        for name, value in found.items():
            counts[name] += value


def _each_once(ids: Iterable[UUID]) -> Iterator[set[UUID]]:
    """All of ``ids``, none twice in one set: a job that was queued again may end more than once between two looks."""
    left = Counter(ids)
    while left:
        yield set(left)
        left -= Counter(left.keys())


def _totals(counts: Mapping[Key, Counter[str]]) -> dict[Key, Counter[str]]:
    totals: defaultdict[Key, Counter[str]] = defaultdict(Counter)
    for (_, queue), found in counts.items():
        totals[TOTAL, queue].update(found)
    return totals


def _outcome(outcome: str, count: int) -> dict[str, float]:
    return {OUTCOMES[Outcome(outcome)]: count} if outcome else {}


def _spent(ends: tallies.Ends) -> dict[str, float]:
    found: dict[str, float] = {}
    if ends.wait_bucket is not None and ends.waited is not None:
        found |= {WAIT_BUCKETS[ends.wait_bucket]: ends.jobs, "wait_seconds": ends.waited.total_seconds()}
    if ends.run_bucket is not None and ends.ran is not None:
        found |= {RUN_BUCKETS[ends.run_bucket]: ends.jobs, "run_seconds": ends.ran.total_seconds()}
    return found


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
