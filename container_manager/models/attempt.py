"""One launch of a job."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from container_manager.sql.indexes import PartialIndex
from container_manager.states import Outcome, StopReason


class JobAttempt(models.Model):
    """
    One launch: where, by whom, and how it ended. Open while ``active_job`` is set.

    ``active_job`` is unique, so two open attempts of a job are an error on every database;
    it also keeps an active job from being deleted. ``started_at`` and ``engine_finished_at`` are
    the engine's clock, the other times the database's.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    job = models.ForeignKey(
        "container_manager.ContainerJob", on_delete=models.CASCADE, related_name="attempts", db_index=False
    )
    number = models.PositiveIntegerField()
    active_job = models.OneToOneField(
        "container_manager.ContainerJob", on_delete=models.PROTECT, null=True, blank=True, related_name="active_attempt"
    )
    host = models.ForeignKey(
        "container_manager.ExecutorHost", on_delete=models.PROTECT, related_name="attempts", db_index=False
    )
    worker = models.UUIDField(
        null=True, blank=True, help_text=_("The worker that owns it; none = the next one adopts it.")
    )
    execution_id = models.CharField(max_length=255, blank=True, default="", help_text=_("The engine's own id."))
    engine_id = models.CharField(max_length=255, blank=True, default="")
    memory_limit = models.PositiveIntegerField(null=True, blank=True, help_text=_("MiB reserved on the host."))
    cpu_limit = models.FloatField(null=True, blank=True, help_text=_("Cores reserved on the host."))

    launched_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True, help_text=_("When timeout_seconds runs out."))
    engine_finished_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    stop_requested = models.CharField(max_length=8, blank=True, default="", choices=StopReason.choices)
    killed_by = models.CharField(max_length=8, blank=True, default="", choices=StopReason.choices)
    killed_at = models.DateTimeField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=16, blank=True, default="", choices=Outcome.choices)
    error = models.TextField(blank=True, default="")
    memory_peak_bytes = models.BigIntegerField(null=True, blank=True)
    cpu_seconds = models.FloatField(null=True, blank=True)

    log_cursor = models.CharField(max_length=255, blank=True, default="")
    log_sequence = models.PositiveIntegerField(default=0, help_text=_("Chunks written so far."))
    log_bytes = models.BigIntegerField(default=0, help_text=_("Bytes of output seen."))
    log_bytes_left_out = models.BigIntegerField(default=0, help_text=_("Bytes between the kept head and tail."))

    class Meta:
        ordering = ("job_id", "number")
        constraints = (models.UniqueConstraint(fields=["job", "number"], name="cm_attempt_number"),)
        indexes = (
            PartialIndex(
                fields=["host", "active_job"], name="cm_attempt_host", where=models.Q(active_job__isnull=False)
            ),
            PartialIndex(fields=["worker", "id"], name="cm_attempt_worker", where=models.Q(active_job__isnull=False)),
        )

    def __str__(self) -> str:
        return f"attempt {self.number} of job {self.job_id}"
