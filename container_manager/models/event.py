"""What happened to a job, when, and who did it: append-only, the timeline and the audit."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class JobEvent(models.Model):
    """
    One thing that happened to a job. Written in the transaction of what it tells.

    ``verb`` is a ``states.Verb``; ``attempt`` is the attempt's number, 0 before the first.
    ``actor`` is a user's name, a worker's id or ``system``.
    """

    job = models.ForeignKey(
        "container_manager.ContainerJob",
        on_delete=models.CASCADE,
        related_name="events",
        db_constraint=False,
        db_index=False,
    )
    attempt = models.PositiveIntegerField(default=0)
    verb = models.CharField(max_length=16)
    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=150, default="", blank=True)
    message = models.TextField(default="", blank=True)
    data = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ("job_id", "id")
        indexes = (models.Index(fields=["job", "id"], name="cm_event_job"),)

    def __str__(self) -> str:
        return f"{self.verb} of job {self.job_id}, attempt {self.attempt}"
