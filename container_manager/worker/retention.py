"""Finished jobs and their output do not stay for ever: pruned by age, children first, in batches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from container_manager import conf
from container_manager.models import (
    ContainerJob,
    HandlerCall,
    IdempotencyKey,
    JobAttempt,
    JobBatch,
    JobEvent,
    JobFile,
    JobLog,
)
from container_manager.sql.clock import DatabaseNow, database_now
from container_manager.states import TERMINAL
from container_manager.worker.leftovers import Leftovers

BATCH: Final = 500
KEY_AGE: Final = timedelta(days=2)
"""How long the repetition of a request is known: its client has given up by then."""


class Retention:
    """
    Deletes what ``RETENTION`` says is old enough, a batch at a time, by primary key.

    Safe with any number of workers: a row deleted by another is simply not there.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._leftovers = Leftovers(using)

    def count_old(self) -> dict[str, int]:
        """How much is old enough now, by what."""
        ages = conf.get("RETENTION") or {}
        counts = {"logs": self._old_outputs(ages["logs"]).count()} if "logs" in ages else {}
        if "handler_calls" in ages:
            counts["handler_calls"] = self._old_calls(ages["handler_calls"]).count()
        if "batches" in ages:
            counts["batches"] = self._old_batches(ages["batches"]).count()
        return counts | {
            status.value: self.old_jobs(status, ages[status.value]).count()
            for status in TERMINAL
            if status.value in ages
        }

    def prune_some(self) -> dict[str, int]:
        """At most one batch each of logs and of jobs per status is gone; returns how many, by what."""
        ages = conf.get("RETENTION") or {}
        pruned: dict[str, int] = {}
        if "logs" in ages:
            pruned["logs"] = self._prune_logs(ages["logs"]) + self._prune_stored_logs(ages["logs"])
        if "handler_calls" in ages:
            pruned["handler_calls"] = self._prune(self._old_calls(ages["handler_calls"]), "finished_at")
        if "batches" in ages:
            pruned["batches"] = self._prune(self._old_batches(ages["batches"]), "completed_at")
        pruned["idempotency_keys"] = self._prune_keys()
        for status in TERMINAL:
            if status.value in ages:
                pruned[status.value] = self._prune_jobs(status, ages[status.value])
        return pruned

    def old_jobs(self, status: str, age_seconds: float) -> QuerySet[ContainerJob]:
        """Jobs that have been in the terminal ``status`` for longer."""
        return ContainerJob.objects.using(self._using).filter(
            status=status, finished_at__lt=DatabaseNow() - timedelta(seconds=age_seconds)
        )

    def _old_outputs(self, age_seconds: float) -> QuerySet[JobAttempt]:
        return JobAttempt.objects.using(self._using).filter(
            Q(log_sequence__gt=0), finished_at__lt=DatabaseNow() - timedelta(seconds=age_seconds)
        )

    def _prune_logs(self, age_seconds: float) -> int:
        # Ids of attempts are in the order of time: what is too young is not read, nor what has no output left.
        limit, first_too_young = self._age(age_seconds)
        old = JobLog.objects.using(self._using).filter(
            sequence=0, attempt_id__lt=first_too_young, attempt__finished_at__lt=limit
        )
        ids = list(old.order_by("attempt_id").values_list("attempt_id", flat=True)[:BATCH])
        if not ids:
            return len(ids)
        JobLog.objects.using(self._using).filter(attempt_id__in=ids).delete()
        JobAttempt.objects.using(self._using).filter(pk__in=ids).update(log_sequence=0)
        return len(ids)

    def _prune_stored_logs(self, age_seconds: float) -> int:
        old = JobFile.objects.using(self._using).filter(
            direction=JobFile.Direction.LOG, pk__lt=self._age(age_seconds)[1]
        )
        gone = self._leftovers.delete_files(list(old.order_by("pk")[:BATCH]))
        for row in gone:
            attempts = JobAttempt.objects.using(self._using).filter(job_id=row.job_id, number=row.attempt)
            if row.is_ready:
                attempts.update(log_sequence=0)
        JobFile.objects.using(self._using).filter(pk__in=[row.pk for row in gone]).delete()
        return len(gone)

    def _age(self, seconds: float) -> tuple[datetime, UUID]:
        """The moment so long ago, and the first id that was made then."""
        limit = database_now(self._using) - timedelta(seconds=seconds)
        return limit, UUID(int=int(limit.timestamp() * 1_000) << 80)

    def _old_calls(self, age_seconds: float) -> QuerySet[HandlerCall]:
        return HandlerCall.objects.using(self._using).filter(
            state=HandlerCall.State.DELIVERED, finished_at__lt=DatabaseNow() - timedelta(seconds=age_seconds)
        )

    def _old_batches(self, age_seconds: float) -> QuerySet[JobBatch]:
        return JobBatch.objects.using(self._using).filter(
            completed_at__lt=DatabaseNow() - timedelta(seconds=age_seconds)
        )

    def _prune(self, old: QuerySet[Any], age: str) -> int:
        ids = list(old.order_by(age, "pk").values_list("pk", flat=True)[:BATCH])
        if ids:
            old.model._default_manager.using(self._using).filter(pk__in=ids).delete()
        return len(ids)

    def _prune_keys(self) -> int:
        old = IdempotencyKey.objects.using(self._using).filter(created_at__lt=DatabaseNow() - KEY_AGE)
        digests = list(old.order_by("created_at").values_list("pk", flat=True)[:BATCH])
        return old.filter(pk__in=digests).delete()[0] if digests else 0

    def _prune_jobs(self, status: str, age_seconds: float) -> int:
        # A batch counts its jobs when the last of them has ended.
        in_open_batch = Q(batch__isnull=False, batch__completed_at__isnull=True)
        old = self.old_jobs(status, age_seconds).exclude(in_open_batch).order_by("finished_at", "pk")
        ids = list(old.values_list("pk", flat=True)[:BATCH])
        if not ids:
            return len(ids)
        ids = sorted(self._leftovers.delete(ids))
        attempts = JobAttempt.objects.using(self._using).filter(job_id__in=ids)
        JobLog.objects.using(self._using).filter(attempt_id__in=list(attempts.values_list("pk", flat=True))).delete()
        JobEvent.objects.using(self._using).filter(job_id__in=ids).delete()
        HandlerCall.objects.using(self._using).filter(job_id__in=ids).delete()
        JobFile.objects.using(self._using).filter(job_id__in=ids).delete()
        attempts.delete()
        rows = ContainerJob.objects.using(self._using).filter(pk__in=ids, status=status)
        return rows._raw_delete(self._using)
