"""One heartbeat row per worker process."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from container_manager import conf
from container_manager.sql.clock import DatabaseNow


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> WorkerQuerySet:
        """
        Those whose heartbeat is younger than their timeout, by the database's clock.

        A worker's is ``WORKER_TIMEOUT``; a caller of ``launch_job`` beats once and has ``START_TIMEOUT``.
        """
        return self.filter(
            Q(kind=Worker.Kind.WORKER, heartbeat_at__gt=DatabaseNow() - timedelta(seconds=conf.get("WORKER_TIMEOUT")))
            | Q(kind=Worker.Kind.CALLER, heartbeat_at__gt=DatabaseNow() - timedelta(seconds=conf.get("START_TIMEOUT")))
        )

    def dead(self) -> WorkerQuerySet:
        return self.exclude(pk__in=self.model._default_manager.using(self.db).alive().values("pk"))


class Worker(models.Model):
    """
    A process that claims and watches jobs. Attempts refer to it by plain UUID.

    ``caller`` is a process that called ``launch_job`` outside a worker.
    """

    class Kind(models.TextChoices):
        WORKER = "worker", _("worker")
        CALLER = "caller", _("caller of launch_job")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.WORKER)
    node = models.CharField(max_length=255)
    process_id = models.PositiveIntegerField()
    process_identity = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text=_("Boot, process namespace, id and start time of the process."),
    )
    hosts = models.JSONField(default=list, blank=True, help_text=_("Ids of the hosts it serves."))
    concurrency = models.PositiveIntegerField(null=True, blank=True)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(db_index=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ("started_at",)

    def __str__(self) -> str:
        return f"{self.kind} {self.node}:{self.process_id}"


def live_worker_ids(using: str) -> Collection[object]:
    """Ids of the workers and callers that are alive now."""
    return list(Worker.objects.using(using).alive().values_list("pk", flat=True))
